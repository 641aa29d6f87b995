"""The parts of the sandbox that need no process of their own."""

import asyncio
import os
import socket
import struct
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from processors.outputs import collect
from processors.sandbox import landlock, proc, seccomp
from processors.sandbox.execution import execute, parsed_options
from processors.sandbox.frames import (
    FRAME_BYTES_MAX,
    HEADER,
    BadFrame,
    ErrorFrame,
    Order,
    ProgressFrame,
    ResultFrame,
    body_length,
    child_frame,
    packed,
    receive_order,
)
from processors.sandbox.inline import InlineRunner
from processors.sandbox.layers import level_of
from processors.sandbox.prelude import BASIC_LAYERS
from processors.sandbox.run import ToolRun
from processors.sandbox.syscalls import (
    ALWAYS_REFUSED,
    ARCHITECTURES,
    ONLY_X86,
    REFUSED_WHEN_ALONE,
)
from processors.sandbox.watch import FILES_MAX, stored_bytes
from processors.tools.base import (
    MIB,
    BaseTool,
    CorruptFile,
    InputFile,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolProcessingError,
    ToolResult,
)
from processors.tools.no_op import NoOp
from processors.tools.registry import Registry, installed
from processors.uninterrupted import uninterrupted


class Messy(BaseTool[ToolOptions]):
    """Leaves files behind."""

    name = "messy"
    description = "For tests."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["*/*"]
    output_formats: ClassVar[list[str]] = ["text/plain"]
    limits = ToolLimits(inputs_min=0)
    trusted = True
    Options = ToolOptions

    async def process(self, input_data: ToolInput, options: ToolOptions) -> ToolResult:
        (input_data.folder / "below").mkdir()
        (input_data.folder / "below" / "temporary").write_text("x")
        (input_data.folder / "out").write_text("out")
        output = OutputFile("out.txt", input_data.folder / "out", "text/plain")
        return ToolResult((output,), ("mind the gap",))


class Failing(Messy):
    """Fails in the middle."""

    name = "failing"

    async def process(self, input_data: ToolInput, options: ToolOptions) -> ToolResult:
        await super().process(input_data, options)
        raise CorruptFile


class Greedy(Messy):
    """Runs out of memory, or panics."""

    name = "greedy"

    async def process(self, input_data: ToolInput, options: ToolOptions) -> ToolResult:
        raise MemoryError


class Panicking(Messy):
    """Panics as libraries in Rust do."""

    name = "panicking"

    async def process(self, input_data: ToolInput, options: ToolOptions) -> ToolResult:
        raise BaseException("panic")


def order(tool: BaseTool[Any], folder: Path, **options: Any) -> ToolRun:
    return ToolRun(tool.name, options, (), folder, tool.limits)


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def failed(tool: BaseTool[Any], folder: Path) -> ToolProcessingError:
    with pytest.raises(ToolProcessingError) as caught:
        await execute(tool, order(tool, folder), lambda *_: None)
    return caught.value


async def test_what_a_tool_leaves_behind_is_cleaned_up(tmp_path: Path) -> None:
    result = await execute(Messy(), order(Messy(), tmp_path), lambda *_: None)

    assert [output.name for output in result.outputs] == ["out.txt"]
    assert files_in(tmp_path) == ["out"]


async def test_a_failed_tool_leaves_no_file(tmp_path: Path) -> None:
    assert (await failed(Failing(), tmp_path)).code == "CORRUPT_FILE"
    assert files_in(tmp_path) == []


async def test_whatever_goes_wrong_is_told_by_a_code(tmp_path: Path) -> None:
    assert (await failed(Greedy(), tmp_path)).code == "RESOURCE_LIMIT_EXCEEDED"
    assert (await failed(Panicking(), tmp_path)).code == "TOOL_CRASHED"


async def test_the_number_of_inputs_is_checked(tmp_path: Path) -> None:
    file = InputFile(tmp_path / "1", "a", "text/plain", 1, "")
    run = ToolRun("messy", {}, (file, file), tmp_path, Messy.limits)

    with pytest.raises(ToolProcessingError, match="INVALID_INPUTS"):
        await execute(Messy(), run, lambda *_: None)


class SecretOptions(ToolOptions):
    password: SecretStr = SecretStr("")
    count: int = 1


class Secretive(Messy):
    Options = SecretOptions


@pytest.mark.parametrize("options", [{"password": 123456}, {"count": "hunter2"}])
def test_a_value_that_is_refused_is_not_repeated(options: dict[str, Any]) -> None:
    with pytest.raises(ToolProcessingError) as caught:
        parsed_options(Secretive(), options)

    assert caught.value.field == next(iter(options))
    assert str(next(iter(options.values()))) not in str(caught.value)


async def test_a_trusted_tool_runs_inline(tmp_path: Path) -> None:
    runner = InlineRunner(Registry([Messy]))
    await runner.start()

    outcome = await runner.run(order(Messy(), tmp_path), lambda *_: None)

    assert [(o.name, o.size_bytes) for o in outcome.outputs] == [("out.txt", 3)]
    assert outcome.notes == ("mind the gap",)
    assert (outcome.isolation.level, outcome.cpu_seconds) == ("L0", None)
    await runner.stop()


async def test_a_tool_that_is_not_trusted_never_runs_inline(tmp_path: Path) -> None:
    run = ToolRun("image-converter", {}, (), tmp_path, ToolLimits())

    with pytest.raises(ValueError, match="not trusted"):
        await InlineRunner(installed()).run(run, lambda *_: None)


async def test_inline_the_deadline_holds_too(tmp_path: Path) -> None:
    limits = ToolLimits(wall_seconds=0.05, inputs_min=0)
    run = ToolRun("no-op", {"seconds": 3_600}, (), tmp_path, limits)

    with pytest.raises(ToolProcessingError, match="TOOL_TIMEOUT"):
        await InlineRunner(Registry([NoOp])).run(run, lambda *_: None)


def test_outputs_together_are_limited(tmp_path: Path) -> None:
    limits = ToolLimits(outputs_max=2, outputs_bytes=5, file_bytes=4)
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text("xxx")
    (tmp_path / "large").write_text("xxxxx")

    def claim(*names: str) -> list[OutputFile]:
        return [OutputFile(f"{name}.txt", tmp_path / name, "text/plain") for name in names]

    collected = collect(tmp_path, claim("a"), limits, ["text/plain"])
    assert [(output.name, output.size_bytes) for output in collected] == [("a.txt", 3)]
    for names in (("a", "b"), ("a", "b", "c"), ("large",)):
        with pytest.raises(ToolProcessingError, match="BAD_OUTPUT"):
            collect(tmp_path, claim(*names), limits, ["text/plain"])


def test_an_order_arrives_as_it_was_given(tmp_path: Path) -> None:
    file = InputFile(tmp_path / "1", "ä\n.txt", "text/plain", 7, "00")
    run = ToolRun("messy", {"deep": [{"a": None}]}, (file,), tmp_path, ToolLimits(cpu_seconds=3))
    ours, theirs = socket.socketpair()

    with ours, theirs:
        ours.sendall(packed(Order.of(run)))
        assert receive_order(theirs).run() == run


def test_an_order_that_breaks_off_is_no_order() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(HEADER.pack(10) + b"half")
        with pytest.raises(BadFrame):
            receive_order(theirs)


@pytest.mark.parametrize(
    "frame",
    [
        ProgressFrame(progress=0.5, message="half"),
        ResultFrame.of(ToolResult((OutputFile("a", Path("/x"), "text/plain"),), ("note",))),
        ErrorFrame.of(CorruptFile("torn", field="file", stack="deep")),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_a_frame_is_read_as_it_was_written(
    frame: ProgressFrame | ResultFrame | ErrorFrame,
) -> None:
    wire = packed(frame)

    assert body_length(wire[: HEADER.size]) == len(wire) - HEADER.size
    assert child_frame(wire[HEADER.size :]) == frame


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"{}", b"null", b"\xff\xfe", b'{"progress": 2, "message": ""}'),
        *(b'{"progress": 0.5}', b'{"outputs": 1, "notes": []}', b"[" * 100_000, b"9" * 10_000),
        b'{"code": "lower", "message": "", "field": null, "permanent": true, "stack": null}',
        b'{"progress": 0.5, "message": "' + b"x" * 5_000 + b'"}',
    ],
)
def test_nonsense_is_no_frame(body: bytes) -> None:
    with pytest.raises(BadFrame):
        child_frame(body)


def test_a_frame_has_a_limit() -> None:
    with pytest.raises(BadFrame):
        body_length(HEADER.pack(FRAME_BYTES_MAX + 1))
    with pytest.raises(BadFrame):
        packed(
            Order(
                tool="x" * FRAME_BYTES_MAX,
                options={},
                inputs=(),
                folder=Path(),
                limits=ToolLimits(),
            )
        )


def test_an_error_too_long_for_its_frame_is_cut() -> None:
    frame = ErrorFrame.of(CorruptFile("x" * 5_000, field="f" * 500, stack="s" * 20_000))

    assert child_frame(packed(frame)[HEADER.size :]) == frame


def test_a_level_needs_all_the_basic_layers() -> None:
    basic = [layer.name for layer in BASIC_LAYERS]

    assert level_of(basic) == "L1"
    assert level_of([*basic, "seccomp"]) == "L2"
    assert level_of([*basic, "landlock"]) == "L1"
    assert level_of([*basic, "seccomp", "landlock", "namespaces"]) == "L3"
    assert level_of(basic[1:]) == "L0"


@pytest.mark.parametrize("machine", list(ARCHITECTURES))
@pytest.mark.parametrize("alone", [True, False])
def test_a_filter_never_jumps_out_of_itself(machine: str, alone: bool) -> None:
    code = seccomp.program(machine, 1234, alone=alone)

    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    for at, (kind, then, otherwise, _) in enumerate(steps):
        if kind & 0x07 == 0x05:
            assert at + 1 + max(then, otherwise) < len(steps)
    assert steps[-1] == (seccomp.RETURN, 0, 0, seccomp.ALLOW)


def test_a_processor_without_a_filter_is_said_to_have_none() -> None:
    with pytest.raises(OSError, match="no filter for vax"):
        seccomp.program("vax", 1234, alone=True)


def test_every_call_that_is_refused_is_known() -> None:
    known = set(ARCHITECTURES["x86_64"].calls)

    assert known >= (ALWAYS_REFUSED | REFUSED_WHEN_ALONE)
    assert known - set(ARCHITECTURES["aarch64"].calls) == set(ONLY_X86)


@pytest.mark.parametrize(
    ("version", "fields", "network", "others"),
    [(1, 1, 0, 0), (3, 1, 0, 0), (4, 2, 3, 0), (5, 2, 3, 0), (6, 3, 3, 3), (9, 3, 3, 3)],
)
def test_an_older_landlock_is_asked_for_what_it_knows(
    version: int, fields: int, network: int, others: int
) -> None:
    assert landlock.fields(version) == fields
    assert landlock.handled(version)[1:] == (network, others)


def test_the_space_that_a_folder_takes_is_counted(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(os.urandom(MIB))
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1024 * MIB)
    (tmp_path / "link").symlink_to("/")

    assert MIB <= stored_bytes(tmp_path) < 2 * MIB
    assert stored_bytes(tmp_path / "nowhere") == 0


def test_too_many_files_take_infinite_space(tmp_path: Path) -> None:
    for number in range(FILES_MAX + 1):
        (tmp_path / str(number)).touch()

    assert stored_bytes(tmp_path) == float("inf")


def test_children_are_found_with_and_without_help_of_the_kernel() -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    try:
        assert pid in proc.children(os.getpid())
        assert pid in proc._children_the_slow_way(os.getpid())
        assert proc.session_of(pid) == os.getsid(0)
        used = proc.usage([pid])
        assert used.processes == 1
        assert used.rss_bytes > MIB
    finally:
        os.close(writing)
        os.waitpid(pid, 0)
    assert proc.children(pid) == []
    assert proc.session_of(pid) is None
    assert proc.rss_bytes(pid) == 0


async def test_what_may_not_be_interrupted_ends_first() -> None:
    begun, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def burial() -> str:
        begun.set()
        await go.wait()
        done.set()
        return "buried"

    task = asyncio.create_task(uninterrupted(burial()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert done.is_set()
    assert await uninterrupted(burial()) == "buried"


async def test_what_may_not_be_interrupted_may_fail() -> None:
    async def failing() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await uninterrupted(failing())
