"""What is sealed is opened with the job's key; without it, nothing is told."""

from uuid import uuid4

import pytest

from events.store.sealing import Seal, Sealer
from infrastructure.settings import SealingSettings
from query_api.sealed import ERASED, SECRET, SealedText


@pytest.fixture
def seal() -> Seal:
    sealer = Sealer(SealingSettings(sealing_key="k" * 32))  # type: ignore[arg-type]
    return sealer.new_key(uuid4(), "acme", "user:1")[0]


def test_the_key_opens_what_it_sealed(seal: Seal) -> None:
    text = SealedText(seal)

    assert text.shown_name(seal.seal("name", "photo.jpg")) == "photo.jpg"
    assert text.message(seal.seal("message", "broken")) == "broken"
    assert text.labels(seal.seal("labels", '{"team": "a"}')) == {"team": "a"}


def test_without_the_key_names_read_erased_and_the_rest_is_null(seal: Seal) -> None:
    text = SealedText(None)

    assert text.name(seal.seal("name", "photo.jpg")) is None
    assert text.shown_name(seal.seal("name", "photo.jpg")) == ERASED
    assert text.message(seal.seal("message", "broken")) is None
    assert text.labels(seal.seal("labels", "{}")) is None
    assert text.options(seal.seal("options", "{}"), []) is None


def test_text_of_another_field_is_not_opened(seal: Seal) -> None:
    assert SealedText(seal).message(seal.seal("name", "photo.jpg")) is None


def test_text_that_is_no_object_is_not_shown(seal: Seal) -> None:
    assert SealedText(seal).labels(seal.seal("labels", "[1]")) is None


def test_secret_options_are_never_shown(seal: Seal) -> None:
    sealed = seal.seal("options", '{"password": "hunter2", "pages": "1-3"}')

    shown = SealedText(seal).options(sealed, ["password"])

    assert shown == {"password": SECRET, "pages": "1-3"}


def test_no_option_is_shown_where_it_is_unknown_which_are_secret(seal: Seal) -> None:
    assert SealedText(seal).options(seal.seal("options", '{"password": "x"}'), None) is None
