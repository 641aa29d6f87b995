"""The codec reads back what it wrote, and refuses everything else with one kind of error."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.contracts import catalogue
from events.contracts.catalogue import FACTS
from events.contracts.fact import Fact
from events.contracts.job import JobCancelled, JobDue
from events.store.codec import STATE_BYTES_MAX, Codec, CodecError, FactTooLarge, UnknownTopic
from infrastructure.ids import uuid7
from tests.fixtures.events import origin
from tests.golden.corpus import AGGREGATE, example

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(topic=st.sampled_from(FACTS), actor=ANY_TEXT, tenant=ANY_TEXT)
def test_a_fact_is_read_back_equal(topic: type, actor: str, tenant: str) -> None:
    fact = example(topic)
    object.__setattr__(fact, "actor", actor)
    object.__setattr__(fact, "tenant", tenant)
    codec = Codec()

    assert codec.to_domain_event(codec.to_stored_event(fact)) == fact


@given(junk=st.binary(max_size=200))
def test_junk_raises_one_typed_error(junk: bytes) -> None:
    with pytest.raises(CodecError):
        Codec().decode(JobDue.TOPIC, junk, AGGREGATE, 1)


@given(cut=st.integers(min_value=1, max_value=300))
def test_a_truncated_row_raises_the_same_error(cut: int) -> None:
    state = Codec().to_stored_event(example(JobDue)).state

    with pytest.raises(CodecError):
        Codec().decode(JobDue.TOPIC, state[:-cut], AGGREGATE, 1)


@pytest.mark.parametrize(
    "topic", ["os:system", "magictoolbox.job.unheard_of", "events.contracts.job:JobDue"]
)
def test_a_topic_outside_the_catalogue_is_never_imported(topic: str) -> None:
    with pytest.raises(UnknownTopic):
        Codec().decode(topic, b"{}", AGGREGATE, 1)


def test_a_fact_over_the_limit_is_refused() -> None:
    fact = JobDue(AGGREGATE, 1, **(origin().fields() | {"actor": "x" * STATE_BYTES_MAX}))

    with pytest.raises(FactTooLarge):
        Codec().to_stored_event(fact)


def test_a_value_that_is_not_json_is_refused() -> None:
    fact = JobDue(AGGREGATE, 1, **(origin().fields() | {"actor": {1, 2}}))

    with pytest.raises(CodecError):
        Codec().to_stored_event(fact)


class Renamed(Fact):
    """A fact in its third version, to try upcasting with."""

    TOPIC: ClassVar[str] = "magictoolbox.test.renamed"
    class_version: ClassVar[int] = 3

    colour: str
    shade: int

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["colour"] = state.pop("color")

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        state["shade"] = 0


@dataclass
class Stored:
    version: int | None
    fields: dict[str, Any]


@pytest.fixture
def with_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.CLASS_OF, Renamed.TOPIC, Renamed)


@pytest.mark.usefixtures("with_renamed")
@pytest.mark.parametrize(
    "stored",
    [
        Stored(None, {"color": "red"}),
        Stored(2, {"colour": "red"}),
        Stored(3, {"colour": "red", "shade": 0}),
    ],
)
def test_older_versions_are_upcast_step_by_step(stored: Stored) -> None:
    codec = Codec()
    cancelled = JobCancelled(AGGREGATE, 4, **origin().fields())
    state = codec.transcoder.encode  # the library's, as old rows were written
    envelope = {
        name: value
        for name, value in vars(cancelled).items()
        if name not in {"originator_id", "originator_version", "timestamp"}
    }
    envelope["timestamp"] = {"_type_": "datetime_iso", "_data_": cancelled.timestamp.isoformat()}
    version = {} if stored.version is None else {"class_version": stored.version}

    fact = codec.decode(Renamed.TOPIC, state(envelope | stored.fields | version), AGGREGATE, 4)

    assert isinstance(fact, Renamed)
    assert (fact.colour, fact.shade) == ("red", 0)
    assert "class_version" not in vars(fact)


@pytest.mark.usefixtures("with_renamed")
def test_a_newer_version_than_we_know_is_refused() -> None:
    codec = Codec()
    state = codec.to_stored_event(example(JobDue)).state.replace(b"{", b'{"class_version":4,', 1)

    with pytest.raises(UnknownTopic):
        codec.decode(Renamed.TOPIC, state, uuid7(), 1)
