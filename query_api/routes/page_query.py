"""What a list is asked for: which entries, how many, and where to go on.

The conditions of a list are a model of its own, and its query is of both: of two bases, the fields
of the second one come first in the document of the API.
"""

from datetime import datetime
from typing import ClassVar, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from query_api.cursors import CURSOR_CHARACTERS_MAX, Cursor
from query_api.routes.parameters import PAGE_SIZE_DEFAULT, MinPosition, PageSize

PAGE: Final = {"limit", "cursor", "min_position"}


class PageQuery(BaseModel):
    """How many entries of a list, and where to go on; unknown parameters are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listed: ClassVar[str]
    """What it is a list of."""

    limit: PageSize = PAGE_SIZE_DEFAULT
    cursor: str | None = Field(
        default=None, max_length=CURSOR_CHARACTERS_MAX, description="`next_cursor` of a page."
    )
    min_position: MinPosition = 0

    @property
    def after(self) -> Cursor | None:
        """Where the page before ended; raises InvalidCursor."""
        return Cursor.decode(self.cursor, self._fingerprint) if self.cursor else None

    def cursor_after(self, made_at: datetime, key: UUID) -> str:
        """The cursor of the page that follows this entry."""
        return Cursor(made_at, key).encode(self._fingerprint)

    @property
    def _fingerprint(self) -> str:
        """What a cursor is bound to: the list and its conditions, not the size of a page."""
        return f"{self.listed} {self.model_dump_json(exclude=PAGE)}"
