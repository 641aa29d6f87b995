"""`magictoolbox doctor`: says what is wrong with what the platform stands on, and what mends it.

The exit code is 1 when something fails that a process cannot do without.
"""

import asyncio
import json
import logging
import sys
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer

if TYPE_CHECKING:
    from infrastructure.health import Outcome


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Ask settings, servers, schema, blobs, sandbox and tools how they are."""
    from infrastructure.cli.doctor_checks import checks
    from infrastructure.health import Readiness

    # What they log is for those who run them; here the answers tell.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    report = asyncio.run(Readiness(checks()).report())
    if as_json:
        print(json.dumps({name: _shown(outcome) for name, outcome in report.outcomes.items()}))
    else:
        for name, outcome in report.outcomes.items():
            print(f"{_word(outcome):<8} {name:<12} {outcome.detail or ''}".rstrip())
    if not report.is_ready:
        sys.exit(1)


def _word(outcome: "Outcome") -> str:
    if outcome.passed:
        return "ok"
    return "failed" if outcome.critical else "warning"


def _shown(outcome: "Outcome") -> dict[str, Any]:
    return {"status": _word(outcome), "detail": outcome.detail}
