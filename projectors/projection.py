"""What a projection is: a pure fold of facts into the rows of one table.

A projection never looks at the clock, the network or another table; from the same events it makes
the same rows, whether they come one by one, in batches, or (in a rebuild) one aggregate after the
other. So it may rely on the order of events within an aggregate, and on no other order.
"""

from typing import Any, Protocol

from events.contracts.envelope import RecordedRow
from events.contracts.fact import AnyFact
from projectors.projections.job import JobRow
from projectors.rows import Rows


class Projection(Protocol):
    """Folds facts into rows; the group loads and writes them."""

    @property
    def name(self) -> str:
        """Of its checkpoint and of its table; permanent."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same events would now make other rows: it asks for a rebuild."""
        ...

    @property
    def handles(self) -> frozenset[type[AnyFact]]:
        """The facts it folds; it is not shown any other."""
        ...

    @property
    def rows(self) -> Rows:
        """What it has folded and what is not written yet."""
        ...

    def fold(
        self, fact: Any, row: RecordedRow, job: JobRow | None, status_before: str | None
    ) -> None:
        """Fold one fact, which stands in the log at `row`.

        `job` is the job that it happened to, as it stands after it, and `status_before` the status
        that the job had before it (None for a new one); both are None for facts of anything else.
        """
        ...
