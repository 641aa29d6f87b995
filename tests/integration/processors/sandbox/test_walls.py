"""The layers of isolation, each tried from inside."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from processors.sandbox.run import ToolRun
from processors.sandbox.runner import INSTALLED, Sandbox
from processors.tools.base import GENERAL, InputFile, ToolProcessingError
from processors.tools.registry import installed
from tests.factories import files
from tests.integration.processors.sandbox.boxes import WALLS, started
from tests.integration.processors.sandbox.prying_tools import Pry, PryInCompany

REGISTRY = "tests.integration.processors.sandbox.prying_tools:registry"
REFUSED = (
    "refused: Permission denied",
    "refused: Operation not permitted",
    "refused: No such process",
    "refused: not allowed to raise maximum limit",
)


@pytest_asyncio.fixture(scope="module")
async def walled() -> AsyncIterator[Sandbox]:
    async with started(REGISTRY, without=()) as box:
        if missing := set(WALLS) - set(box.isolation.layers):
            pytest.skip(f"this kernel does not give {missing}: {box.isolation.missing}")
        yield box


@pytest_asyncio.fixture(scope="module")
async def bare() -> AsyncIterator[Sandbox]:
    async with started(REGISTRY) as box:
        yield box


async def said(box: Sandbox, folder: Path, way: str, target: object = "", tool: str = "pry") -> str:
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    limits = PryInCompany.limits if tool == "pry-in-company" else Pry.limits
    run = ToolRun(tool, {"way": way, "target": str(target)}, (), folder, limits)
    outcome = await box.run(run, lambda *_: None)
    return outcome.outputs[0].path.read_text()


def targets(outside: Path) -> dict[str, Path]:
    """Something for each way to try, in a folder that is not the tool's."""
    (outside / "secret").write_text("secret")
    (outside / "victim").write_text("victim")
    return {
        "read": outside / "secret",
        "list": outside,
        "write": outside / "new",
        "remove": outside / "victim",
    }


@pytest.mark.parametrize("way", ["read", "list", "write", "remove"])
async def test_files_of_others_are_out_of_reach(
    walled: Sandbox, bare: Sandbox, tmp_path: Path, way: str
) -> None:
    target = targets(tmp_path)[way]

    assert await said(walled, tmp_path / "1", way, target) in REFUSED
    assert await said(bare, tmp_path / "2", way, target) not in REFUSED


async def test_files_of_the_system_are_out_of_reach(walled: Sandbox, tmp_path: Path) -> None:
    for number, path in enumerate(("/etc/passwd", "/proc/1/environ", f"/proc/{os.getpid()}/maps")):
        assert await said(walled, tmp_path / str(number), "read", path) in REFUSED


async def test_servers_on_this_machine_are_out_of_reach(
    walled: Sandbox, bare: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "server"
    unix = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
    tcp = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    async with unix, tcp:
        for way, target in (("unix-socket", path), ("tcp", port)):
            assert await said(walled, tmp_path / "1", way, target) in REFUSED
            assert await said(bare, tmp_path / "2", way, target) == "open"


@pytest.mark.parametrize("tool", ["pry", "pry-in-company"])
@pytest.mark.parametrize(
    "way", ["signal-parent", "trace-parent", "new-user", "new-group", "more-files", "survive"]
)
async def test_no_way_leads_out_of_the_run(
    walled: Sandbox, tmp_path: Path, way: str, tool: str
) -> None:
    zygote = walled.zygotes[GENERAL].pid

    assert await said(walled, tmp_path / "1", way, zygote, tool=tool) in REFUSED


@pytest.mark.parametrize("way", ["udp", "raw"])
async def test_no_socket_of_any_kind_can_be_opened(
    walled: Sandbox, tmp_path: Path, way: str
) -> None:
    assert await said(walled, tmp_path / "1", way) in REFUSED


async def test_nothing_of_the_worker_can_be_signalled_or_traced(
    walled: Sandbox, tmp_path: Path
) -> None:
    for way in ("signal-parent", "trace-parent"):
        assert await said(walled, tmp_path / way, way, os.getpid()) in REFUSED


async def test_a_run_is_the_first_of_its_processes_and_has_no_network(
    walled: Sandbox, bare: Sandbox, tmp_path: Path
) -> None:
    # The number of its network devices cannot even be asked for without a socket.
    assert await said(walled, tmp_path / "1", "identity") in REFUSED
    parent = (await said(bare, tmp_path / "2", "identity")).split()[1]
    assert int(parent) == bare.zygotes[GENERAL].pid


@pytest.mark.parametrize("tool", ["pry", "pry-in-company"])
async def test_a_run_has_no_rights_beyond_those_of_its_user(
    walled: Sandbox, bare: Sandbox, tmp_path: Path, tool: str
) -> None:
    for number, box in enumerate((walled, bare)):
        said_ = await said(box, tmp_path / str(number), "rights", tool=tool)
        assert said_.split()[1].strip("0") == ""


@pytest.mark.parametrize("way", ["fork", "exec"])
async def test_a_tool_that_shall_be_alone_starts_nothing(
    walled: Sandbox, tmp_path: Path, way: str
) -> None:
    assert await said(walled, tmp_path / "1", way) in REFUSED


async def test_a_tool_that_may_have_children_has_them(walled: Sandbox, tmp_path: Path) -> None:
    assert await said(walled, tmp_path / "1", "fork", tool="pry-in-company") == "open"


@pytest.mark.parametrize(
    ("way", "answer"),
    [("thread", "from a thread"), ("library", "colorsys wave"), ("pair", "hello")],
)
async def test_what_libraries_need_is_there(
    walled: Sandbox, tmp_path: Path, way: str, answer: str
) -> None:
    assert await said(walled, tmp_path / "1", way) == answer


async def test_the_input_can_be_read_and_not_changed(walled: Sandbox, tmp_path: Path) -> None:
    source = tmp_path / "input"
    source.write_text("theirs")
    folder = tmp_path / "work"
    folder.mkdir()

    async def tried(way: str) -> str:
        file = InputFile(source, "a.txt", "text/plain", 6, "")
        options = {"way": way, "target": str(source)}
        outcome = await walled.run(
            ToolRun("pry", options, (file,), folder, Pry.limits), lambda *_: None
        )
        return outcome.outputs[0].path.read_text()

    assert await tried("read") == "theirs"
    assert await tried("write") in REFUSED
    assert await tried("remove") in REFUSED
    assert source.read_text() == "theirs"


REAL: dict[str, tuple[bytes, str, dict[str, object]]] = {
    "image-converter": (files.photo_jpeg(), "image/jpeg", {"output_format": "avif"}),
    "image-resizer": (files.photo_jpeg(), "image/jpeg", {}),
    "pdf-merger": (files.simple_pdf(), "application/pdf", {}),
    "pdf-to-text": (files.simple_pdf(), "application/pdf", {}),
    "table-converter": (b"a,b\n1,2\n", "text/csv", {}),
    "checksum": (b"abc", "text/plain", {}),
}


@pytest.mark.parametrize("tool", list(REAL))
async def test_every_built_in_tool_works_behind_all_walls(
    every_tool: Sandbox, tmp_path: Path, tool: str
) -> None:
    content, media_type, options = REAL[tool]
    (tmp_path / "1").write_bytes(content)
    (tmp_path / "work").mkdir()
    file = InputFile(tmp_path / "1", "a.x", media_type, len(content), "")
    limits = installed().get(tool).limits

    outcome = await every_tool.run(
        ToolRun(tool, options, (file,), tmp_path / "work", limits), lambda *_: None
    )

    assert len(outcome.outputs) == 1
    assert outcome.peak_rss_bytes is not None
    assert outcome.peak_rss_bytes < limits.memory_bytes


@pytest_asyncio.fixture(scope="module")
async def every_tool() -> AsyncIterator[Sandbox]:
    async with started(INSTALLED, without=()) as box:
        yield box


async def test_a_bad_file_is_refused_by_its_code_from_behind_the_walls(
    every_tool: Sandbox, tmp_path: Path
) -> None:
    content = files.png_header(100_000, 100_000)
    (tmp_path / "1").write_bytes(content)
    (tmp_path / "work").mkdir()
    file = InputFile(tmp_path / "1", "a.png", "image/png", len(content), "")
    limits = installed().get("image-converter").limits
    run = ToolRun("image-converter", {}, (file,), tmp_path / "work", limits)

    with pytest.raises(ToolProcessingError, match="DIMENSIONS_TOO_LARGE"):
        await every_tool.run(run, lambda *_: None)


async def test_the_isolation_is_told_as_it_is(walled: Sandbox) -> None:
    assert walled.isolation.level == "L3"
    assert walled.isolation.missing == ()
    assert {"rlimits", *WALLS} <= set(walled.isolation.layers)
