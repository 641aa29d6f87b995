"""Opaque cursors of keyset pages: where the last page ended, bound to the query it was made for.

A cursor grants nothing: who may see what is decided anew on every page.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

import orjson

from query_api.errors import InvalidCursor

CURSOR_CHARACTERS_MAX: Final = 256
_DIGEST_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last job of a page, newest first."""

    created_at: datetime
    job_id: UUID

    def encode(self, query: str) -> str:
        """The text to hand out with a page of this query."""
        parts = [self.created_at.isoformat(), self.job_id.hex, _digest(query)]
        return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, query: str) -> Self:
        """Read what `encode` made for the same query; raises InvalidCursor."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            created_at, job_id, digest = orjson.loads(raw)
            cursor = cls(datetime.fromisoformat(created_at), UUID(job_id))
        except (binascii.Error, ValueError, TypeError, AttributeError) as error:
            raise InvalidCursor from error
        if digest != _digest(query) or cursor.created_at.tzinfo is None:
            raise InvalidCursor
        return cursor


def _digest(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()[:_DIGEST_CHARACTERS]
