"""Finds the folder of an installed wheel without importing it: imports have effects."""

from importlib.util import find_spec
from pathlib import Path


def wheel_folder(package: str) -> Path | None:
    """Where the package lies; None if it is not installed."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent
