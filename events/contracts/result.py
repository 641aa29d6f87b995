"""The facts of a result's index: which job makes the result of these files, tool and options.

What they are is not in the log: only a blind token of them goes into the id.
"""

from typing import ClassVar
from uuid import UUID, uuid5

from events.contracts.fact import Fact, FirstFact

_RESULTS = UUID("8d0c7a4e-2f1b-5f63-9c55-1b7e6a3f9d42")
"""The namespace of these ids; permanent."""


def result_id(tenant: str, tool: str, version: str, fingerprint: str) -> UUID:
    """The id of the index: the same for everybody who asks for the same result."""
    return uuid5(_RESULTS, "\0".join((tenant, tool, version, fingerprint)))


class ResultSought(FirstFact):
    """A job was submitted whose result nobody had asked for before."""

    TOPIC: ClassVar[str] = "magictoolbox.result.sought"

    maker: str
    """The id of the job."""


class ResultSoughtAnew(Fact):
    """Another job took its place, as the one before it has no result to give."""

    TOPIC: ClassVar[str] = "magictoolbox.result.sought_anew"

    maker: str
