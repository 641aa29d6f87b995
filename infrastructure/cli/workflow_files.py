"""The files of a workflow's document: named there, given on the command line, uploaded on the way.

A document that names its inputs (`{"input": "scan"}`) can be submitted again with other files.
Everything is looked at before the first file is sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infrastructure.cli.failures import BadArgument

NAME_KEY: Final = "input"
STEPS_KEYS: Final = ("steps", "jobs")
Files = Mapping[str, Sequence[Path]]


def files_of(given: Sequence[str]) -> dict[str, list[Path]]:
    """The files behind each name, from `NAME=FILE`, in the order given; raises BadArgument."""
    files: dict[str, list[Path]] = {}
    for each in given:
        name, is_named, path = each.partition("=")
        if not name or not is_named:
            raise BadArgument(f"{each!r} is not NAME=FILE")
        if not Path(path).is_file():
            raise BadArgument(f"there is no file {path}")
        files.setdefault(name, []).append(Path(path))
    return files


def require_same_names(document: Mapping[str, Any], files: Files) -> None:
    """Raise BadArgument unless the document names exactly the inputs that are given."""
    wanted = [each[NAME_KEY] for inputs in _inputs(document) for each in inputs if _is_name(each)]
    for name in wanted:
        if name not in files:
            raise BadArgument(f"the document names the input {name}: give --input {name}=FILE")
    for name in files:
        if name not in wanted:
            raise BadArgument(f"the document names no input {name}")


def put_uploads(document: Mapping[str, Any], files: Files, upload: Callable[[Path], str]) -> None:
    """Send each file once, and put the uploads where the document names them."""
    uploads = {
        name: [{"upload_id": upload(path)} for path in paths] for name, paths in files.items()
    }
    for inputs in _inputs(document):
        inputs[:] = [
            one
            for each in inputs
            for one in (uploads[each[NAME_KEY]] if _is_name(each) else [each])
        ]


def _inputs(document: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The inputs of each step; what is not as it should be is for the platform to refuse."""
    for key in STEPS_KEYS:
        steps = document.get(key)
        for step in steps if isinstance(steps, list) else ():
            inputs = step.get("inputs") if isinstance(step, dict) else None
            if isinstance(inputs, list):
                yield inputs


def _is_name(each: Any) -> bool:
    return isinstance(each, dict) and each.keys() == {NAME_KEY} and isinstance(each[NAME_KEY], str)
