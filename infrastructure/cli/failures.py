"""How a client command ends when it cannot do what was asked: what it says, and its exit code."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar, Final, ParamSpec

EXIT_JOB_FAILED: Final = 1
"""The job ended, but not with success."""
EXIT_USAGE: Final = 2
"""What was asked for makes no sense here."""
EXIT_REFUSED: Final = 3
"""The platform refused: who asks, or what was asked for."""
EXIT_UNAVAILABLE: Final = 4
"""The platform does not answer, or cannot at the moment."""
EXIT_INTERRUPTED: Final = 130

P = ParamSpec("P")


class CommandFailed(Exception):
    """The command could not do what was asked."""

    exit_code: ClassVar[int] = EXIT_USAGE

    def as_json(self) -> dict[str, Any]:
        """The failure for programs."""
        return {"code": type(self).__name__, "message": str(self)}

    def lines(self) -> list[str]:
        """The failure for people."""
        return [f"error: {self}"]


class ConnectionUnknown(CommandFailed):
    """It is not known where the platform is, or who asks."""


class BadArgument(CommandFailed):
    """An argument makes no sense."""


class Unreachable(CommandFailed):
    """The platform does not answer."""

    exit_code = EXIT_UNAVAILABLE


class JobNotSucceeded(CommandFailed):
    """The job ended without success; what it says was told already."""

    exit_code = EXIT_JOB_FAILED

    def lines(self) -> list[str]:
        """Nothing more."""
        return []


class Refused(CommandFailed):
    """An API answered with a problem."""

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(str(problem.get("message") or f"the platform answered {status}"))
        self.status = status
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds
        self.code = str(problem.get("code") or status)

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """Whether it was refused, or cannot be done now."""
        return EXIT_UNAVAILABLE if self.status >= 500 else EXIT_REFUSED

    def as_json(self) -> dict[str, Any]:
        """The problem as it came."""
        return dict(self.problem)

    def lines(self) -> list[str]:
        """The message, what is wrong where, and the id under which the platform logged it."""
        lines = [f"error: {self} ({self.code})"]
        details = self.problem.get("details")
        for detail in details if isinstance(details, list) else ():
            lines.append(f"  {detail.get('field')}: {detail.get('message')}")
        if self.status >= 500 and (request_id := self.problem.get("request_id")):
            lines.append(f"  request id: {request_id}")
        return lines


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command tell its failures on standard error and exit with their code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except CommandFailed as failed:
            _tell(failed, as_json=bool(kwargs.get("as_json")))
            sys.exit(failed.exit_code)
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)

    return run


def _tell(failed: CommandFailed, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(failed.as_json()), file=sys.stderr)
        return
    for line in failed.lines():
        print(line, file=sys.stderr)
