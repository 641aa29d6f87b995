"""Sealed text opens with its own key, in its own place, and in no other way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from events.store.sealing import PREFIX, SealBroken, Sealer
from infrastructure.ids import uuid7
from infrastructure.settings import SealingSettings

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=500)


def sealer(secret: str = "a" * 32) -> Sealer:
    return Sealer(SealingSettings(sealing_key=SecretStr(secret), _env_file=None))


@given(text=TEXT)
def test_sealed_text_opens_again(text: str) -> None:
    seal, _ = sealer().new_key(uuid7(), "acme", "user:1")

    assert seal.open("name", seal.seal("name", text)) == text


def test_the_wrapped_key_opens_what_was_sealed() -> None:
    seal, wrapped = sealer().new_key(uuid7(), "acme", "user:1")
    sealed = seal.seal("name", "holiday.jpg")

    assert sealer().open_key(wrapped.subject_id, wrapped.wrapped).open("name", sealed) == (
        "holiday.jpg"
    )


def test_equal_text_is_never_sealed_equal() -> None:
    seal, _ = sealer().new_key(uuid7(), "acme", "user:1")

    assert seal.seal("name", "x") != seal.seal("name", "x")


def test_sealed_text_does_not_open_as_another_field_or_subject() -> None:
    seal, wrapped = sealer().new_key(uuid7(), "acme", "user:1")
    other, _ = sealer().new_key(uuid7(), "acme", "user:1")
    sealed = seal.seal("name", "holiday.jpg")

    with pytest.raises(SealBroken):
        seal.open("message", sealed)
    with pytest.raises(SealBroken):
        other.open("name", sealed)
    with pytest.raises(SealBroken):
        sealer().open_key(uuid7(), wrapped.wrapped)


@pytest.mark.parametrize("text", ["", "plain", PREFIX, PREFIX + "%%%", PREFIX + "AAAA"])
def test_what_is_not_sealed_does_not_open(text: str) -> None:
    seal, _ = sealer().new_key(uuid7(), "acme", "user:1")

    with pytest.raises(SealBroken):
        seal.open("name", text)


def test_a_changed_byte_breaks_the_seal() -> None:
    seal, _ = sealer().new_key(uuid7(), "acme", "user:1")
    sealed = seal.seal("name", "holiday.jpg")
    changed = sealed[:-3] + ("A" if sealed[-3] != "A" else "B") + sealed[-2:]

    with pytest.raises(SealBroken):
        seal.open("name", changed)


def test_another_wrapping_key_opens_nothing() -> None:
    _, wrapped = sealer().new_key(uuid7(), "acme", "user:1")

    with pytest.raises(SealBroken):
        sealer("b" * 32).open_key(wrapped.subject_id, wrapped.wrapped)


def test_label_tokens_are_equal_within_a_tenant_only() -> None:
    token = sealer().label_token("acme", "project", "apollo")

    assert token == sealer().label_token("acme", "project", "apollo")
    assert token != sealer().label_token("other", "project", "apollo")
    assert token != sealer().label_token("acme", "projecta", "pollo")
    assert token != sealer("b" * 32).label_token("acme", "project", "apollo")
