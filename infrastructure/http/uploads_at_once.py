"""Bounds how many uploads one client has under way, so that a few slow ones cannot keep all out."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from infrastructure import metrics
from infrastructure.http.problems import Problem

RETRY_AFTER_SECONDS = "5"


class UploadsAtOnce:
    """Counts the uploads of each client in this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one_more(self, client: str) -> Iterator[None]:
        """Count one as long as it lasts; raises Problem 429 for one too many."""
        if self._under_way[client] >= self._most:
            metrics.HTTP_RATE_LIMITED.labels("uploads").inc()
            raise Problem(
                429,
                "TOO_MANY_UPLOADS",
                f"You have {self._most} uploads under way; wait for one of them to end.",
                headers={"Retry-After": RETRY_AFTER_SECONDS},
            )
        self._under_way[client] += 1
        try:
            yield
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]
