"""Reads headers and tags of media with tinytag. Importing this imports it."""

from typing import Any

import tinytag

from processors.tools.base import InputFile, UnsupportedMediaType
from processors.tools.parsing import parsing

TAG_LENGTH_MAX = 2_000
TAGS_MAX = 200
FACTS = ("duration", "bitrate", "samplerate", "channels", "bitdepth")
NAMES = {
    "duration": "duration_seconds",
    "bitrate": "bitrate_kbps",
    "samplerate": "sampling_hz",
    "channels": "channels",
    "bitdepth": "bits",
}


def told(file: InputFile) -> dict[str, Any]:
    """What a file says of itself; what it does not say is left out."""
    with parsing():
        try:
            with file.path.open("rb") as stream:
                tag = tinytag.TinyTag.get(file_obj=stream)
        except tinytag.UnsupportedFormatError:
            raise UnsupportedMediaType(
                "The file is no sound or film of a format that the tool reads."
            ) from None
        found = tag.as_dict()
    facts: dict[str, Any] = {"media_type": file.media_type, "size_bytes": file.size_bytes}
    facts |= {NAMES[name]: found[name] for name in FACTS if found.get(name) is not None}
    others = [name for name in sorted(found) if name not in (*FACTS, "filename", "filesize")]
    facts["tags"] = {
        name[:TAG_LENGTH_MAX]: _bounded(found[name])
        for name in others[:TAGS_MAX]
        if isinstance(found[name], str | int | float | list)
    }
    return facts


def _bounded(value: Any) -> Any:
    if isinstance(value, list):
        return [str(each)[:TAG_LENGTH_MAX] for each in value[:TAGS_MAX]]
    return value[:TAG_LENGTH_MAX] if isinstance(value, str) else value
