"""An answer together with the position that it reflects."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applied(Generic[T]):
    """`found` reflects every event up to `position`, and perhaps later ones."""

    found: T
    position: int
