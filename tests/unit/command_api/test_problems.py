"""Every refusal has a status and a code, and none tells an internal detail."""

from collections.abc import Iterator

import pytest

from command_api import errors as command_errors
from command_api.accounts import errors as account_errors
from command_api.problems import STATUS_OF, TABLE, refusal
from events.domain.errors import DomainError, JobIsFinal, JobNotFound
from events.store.append import AppendError, CommandRepeated
from events.store.repository import LogUnavailable, OutcomeUnknown


def subclasses(base: type[DomainError]) -> Iterator[type[DomainError]]:
    """All errors below, at any depth."""
    for each in base.__subclasses__():
        yield each
        yield from subclasses(each)


ALL = sorted(set(subclasses(DomainError)), key=lambda error: error.__name__)


def test_the_errors_of_this_service_are_among_all() -> None:
    names = {error.__module__ for error in ALL}

    assert {command_errors.__name__, account_errors.__name__} <= names


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_every_refusal_of_the_rules_has_a_status_a_code_and_a_sentence(
    error: type[DomainError],
) -> None:
    problem = refusal(error())

    assert 400 <= problem.status_code < 500
    assert problem.code == error.code
    assert problem.code.isupper()
    assert problem.message.endswith(".")


def test_codes_are_not_shared() -> None:
    codes = [error.code for error in ALL]

    assert len(codes) == len(set(codes))


def test_a_more_specific_class_wins() -> None:
    assert refusal(JobNotFound()).status_code == 404
    assert refusal(JobIsFinal()).status_code == 409
    assert STATUS_OF[DomainError] == 422


def test_details_are_those_of_the_error() -> None:
    assert refusal(JobIsFinal(status="failed")).details == {"status": "failed"}
    assert refusal(JobIsFinal()).details is None
    listed = command_errors.InvalidOptions(errors=[{"field": "a"}])
    assert refusal(listed).details == [{"field": "a"}]


def test_an_unknown_outcome_is_told_apart_from_a_sure_failure() -> None:
    sure, unknown = TABLE[LogUnavailable](LogUnavailable()), TABLE[OutcomeUnknown](OutcomeUnknown())

    assert (sure.status_code, sure.code) == (503, "SERVICE_UNAVAILABLE")
    assert (unknown.status_code, unknown.code) == (503, "OUTCOME_UNKNOWN")
    assert "nothing was accepted" in sure.message
    assert "nothing was accepted" not in unknown.message
    for problem in (sure, unknown):
        assert problem.headers is not None
        assert int(problem.headers["Retry-After"]) > 0


def test_what_handlers_settle_themselves_is_not_in_the_table() -> None:
    assert CommandRepeated not in TABLE
    assert AppendError not in TABLE
