"""Parts the secret options of a job from the others, by what the tool published.

A secret is sealed under a key of its own beside the job's, which is deleted when the job ends: the
other options can be read as long as the job is kept, the secret cannot.
"""

from collections.abc import Mapping
from typing import Any


def parted(
    options: Mapping[str, Any], schema: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that may be read again, and the secret ones that were given."""
    names = secret_names(schema)
    open_ones = {name: value for name, value in options.items() if name not in names}
    secrets = {name: value for name, value in options.items() if name in names and value}
    return open_ones, secrets


def with_kept(options: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """These options, and the kept secrets that they do not name; with null they take one away."""
    removed = {name for name in kept if options.get(name, kept[name]) is None}
    return {name: value for name, value in {**kept, **options}.items() if name not in removed}


def secret_names(schema: Mapping[str, Any]) -> frozenset[str]:
    """The options that hold a secret."""
    fields: Mapping[str, Any] = schema.get("properties", {})
    return frozenset(name for name, field in fields.items() if _is_secret(field))


def _is_secret(field: Mapping[str, Any]) -> bool:
    if field.get("writeOnly") or field.get("format") == "password":
        return True
    return any(_is_secret(choice) for choice in field.get("anyOf", ()))
