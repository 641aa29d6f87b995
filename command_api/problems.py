"""Which refusal becomes which HTTP status: this table and nothing else decides.

A more specific class wins over the one it derives from.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from command_api import errors
from command_api.accounts import errors as accounts
from events.domain import errors as domain
from events.store.codec import FactTooLarge
from events.store.repository import LogUnavailable, OutcomeUnknown, StreamConflict
from infrastructure.blobs.base import InsufficientStorage
from infrastructure.http.problems import ErrorTable, Problem
from infrastructure.passwords import TooManyHashes
from infrastructure.sessions import SessionEnded, SessionsUnavailable
from infrastructure.tokens import TokenRefused

RETRY_AFTER: Final = {"Retry-After": "2"}
CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}

STATUS_OF: Final[Mapping[type[domain.DomainError], HTTPStatus]] = {
    domain.DomainError: HTTPStatus.UNPROCESSABLE_ENTITY,
    domain.NotFound: HTTPStatus.NOT_FOUND,
    domain.JobIsFinal: HTTPStatus.CONFLICT,
    domain.JobIsNotFinal: HTTPStatus.CONFLICT,
    domain.JobNotUnique: HTTPStatus.CONFLICT,
    domain.BulkIsFinal: HTTPStatus.CONFLICT,
    domain.JobNotWaiting: HTTPStatus.CONFLICT,
    domain.JobOfWorkflow: HTTPStatus.CONFLICT,
    domain.QueueIsPaused: HTTPStatus.CONFLICT,
    domain.QueueIsNotPaused: HTTPStatus.CONFLICT,
    domain.ScheduleIsActive: HTTPStatus.CONFLICT,
    domain.ScheduleIsPaused: HTTPStatus.CONFLICT,
    domain.ResultExpired: HTTPStatus.GONE,
    domain.ToolUnavailable: HTTPStatus.CONFLICT,
    domain.WorkflowIsFinal: HTTPStatus.CONFLICT,
    domain.WorkflowIsNotFinal: HTTPStatus.CONFLICT,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.InputsTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    accounts.BadCredentials: HTTPStatus.UNAUTHORIZED,
    accounts.RefreshTokenInvalid: HTTPStatus.UNAUTHORIZED,
    accounts.UsernameTaken: HTTPStatus.CONFLICT,
    accounts.OwnAccount: HTTPStatus.CONFLICT,
}


def refusal(error: domain.DomainError) -> Problem:
    """A refusal of the rules."""
    status = next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)
    headers = CHALLENGE if status == HTTPStatus.UNAUTHORIZED else None
    return Problem(int(status), error.code, error.message, details=_details(error), headers=headers)


def unavailable(error: Exception) -> Problem:
    """Nothing was done, and the same request may succeed in a moment."""
    message = "The service cannot do this at the moment; nothing was accepted. Try again."
    return Problem(503, "SERVICE_UNAVAILABLE", message, headers=RETRY_AFTER)


def outcome_unknown(error: OutcomeUnknown) -> Problem:
    """It may have been done; only a repeat under the same key is safe."""
    message = (
        "The connection to the log broke: the request may or may not have been accepted. "
        "Repeat it under the same Idempotency-Key, or look before you send it again."
    )
    return Problem(503, "OUTCOME_UNKNOWN", message, headers=RETRY_AFTER)


def conflict(error: StreamConflict) -> Problem:
    """Others changed the same thing all the time."""
    message = "Too many requests changed this at the same moment; try again."
    return Problem(409, "CONFLICT", message, headers=RETRY_AFTER)


def unauthenticated(error: Exception) -> Problem:
    """A token that does not count, for whatever reason: outside, all look the same."""
    message = "The access token is missing, malformed, expired or not ours."
    return Problem(401, "UNAUTHENTICATED", message, headers=CHALLENGE)


def too_large(error: FactTooLarge) -> Problem:
    """More was said than one event may hold."""
    return Problem(413, "REQUEST_TOO_LARGE", "Options, labels and steps are too large together.")


def no_room(error: InsufficientStorage) -> Problem:
    """The disk is full."""
    return Problem(507, "INSUFFICIENT_STORAGE", "There is no room for files at the moment.")


TABLE: Final[ErrorTable] = {
    domain.DomainError: refusal,
    LogUnavailable: unavailable,
    OutcomeUnknown: outcome_unknown,
    StreamConflict: conflict,
    FactTooLarge: too_large,
    TokenRefused: unauthenticated,
    SessionEnded: unauthenticated,
    SessionsUnavailable: unavailable,
    accounts.AccountsUnavailable: unavailable,
    TooManyHashes: unavailable,
    InsufficientStorage: no_room,
}


def _details(error: domain.DomainError) -> Any:
    """A list of fields where there is one, else what the error holds."""
    listed = error.details.get("errors")
    return listed if listed is not None else (error.details or None)
