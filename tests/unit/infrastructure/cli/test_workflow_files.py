"""The files that a workflow's document names, from the command line."""

from pathlib import Path
from typing import Any

import pytest

from infrastructure.cli.failures import BadArgument
from infrastructure.cli.workflow_files import files_of, put_uploads, require_same_names

UPLOAD = {"upload_id": "01a20766-3488-7559-a501-93ab8b57f533"}


def document(*inputs: list[Any], key: str = "steps") -> dict[str, Any]:
    return {key: [{"id": f"s{number}", "inputs": each} for number, each in enumerate(inputs)]}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, list[Path]]:
    for name in ("a.png", "b.png", "c=.png"):
        (tmp_path / name).write_bytes(b"x")
    return files_of([f"scan={tmp_path}/a.png", f"logo={tmp_path}/c=.png", f"scan={tmp_path}/b.png"])


@pytest.mark.parametrize("key", ["steps", "jobs"])
def test_each_file_is_sent_once_and_stands_wherever_it_is_named(
    files: dict[str, list[Path]], key: str
) -> None:
    step = {"step": "s0", "output": "*"}
    flow = document(
        [{"input": "scan"}, UPLOAD], [step, {"input": "logo"}, {"input": "scan"}], key=key
    )
    sent: list[str] = []

    def upload(path: Path) -> str:
        sent.append(path.name)
        return f"id of {path.name}"

    require_same_names(flow, files)
    put_uploads(flow, files, upload)

    a, b, c = ({"upload_id": f"id of {name}"} for name in ("a.png", "b.png", "c=.png"))
    assert sent == ["a.png", "b.png", "c=.png"]
    assert flow == document([a, b, UPLOAD], [step, c, a, b], key=key)


@pytest.mark.parametrize("given", ["scan", "=a.png", "scan=nothing.png", "scan="])
def test_what_names_no_file_is_refused(given: str) -> None:
    with pytest.raises(BadArgument):
        files_of([given])


@pytest.mark.parametrize(
    ("inputs", "missing"),
    [([{"input": "scan"}], "no input logo"), ([{"input": "page"}], "--input page=FILE")],
)
def test_names_that_do_not_fit_are_refused(
    files: dict[str, list[Path]], inputs: list[Any], missing: str
) -> None:
    with pytest.raises(BadArgument, match=missing):
        require_same_names(document(inputs), files)


@pytest.mark.parametrize("strange", [{}, {"steps": 3}, {"steps": [1, {"inputs": "x"}, {}]}])
def test_a_document_that_is_none_is_for_the_platform_to_refuse(strange: dict[str, Any]) -> None:
    require_same_names(strange, {})
    put_uploads(strange, {}, str)
