"""The tools that parse nothing."""

import asyncio
import hashlib
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from processors.sandbox.execution import execute
from processors.sandbox.run import ToolRun
from processors.tools.base import InputFile, ToolInput, ToolProcessingError
from processors.tools.checksum import Checksum, ChecksumOptions
from processors.tools.no_op import NoOp
from tests.unit.processors.tools.workbench import Given, made

ABC = Given(b"abc", "abc.bin", "application/octet-stream")
EMPTY = Given(b"", "empty.bin", "application/x-empty")


async def test_a_checksum_is_sha256_unless_told_otherwise() -> None:
    result = await made("checksum", ABC)

    assert (result.name, result.media_type) == ("abc.bin.sha256", "text/plain")
    assert result.text == f"{hashlib.sha256(b'abc').hexdigest()}  abc.bin\n"


@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "sha1", "md5", "blake2b"])
async def test_every_algorithm_gives_its_known_value(algorithm: str) -> None:
    result = await made("checksum", ABC, EMPTY, algorithm=algorithm, output_format="json")

    told = json.loads(result.text)
    assert result.name == f"checksums.{algorithm}.json"
    assert told["algorithm"] == algorithm
    assert [(entry["name"], entry["size_bytes"]) for entry in told["files"]] == [
        ("abc.bin", 3),
        ("empty.bin", 0),
    ]
    expected = hashlib.new(algorithm, b"abc", usedforsecurity=False).hexdigest()
    assert told["files"][0]["digest"] == expected


async def test_coreutils_verify_the_text(tmp_path: Path) -> None:
    (tmp_path / "abc.bin").write_bytes(b"abc")
    (tmp_path / "empty.bin").write_bytes(b"")
    result = await made("checksum", ABC, EMPTY)

    verified = await asyncio.to_thread(
        subprocess.run, ["sha256sum", "--check", "--strict"], input=result.content, cwd=tmp_path
    )

    assert verified.returncode == 0


async def test_a_name_cannot_break_out_of_its_line() -> None:
    evil = Given(b"abc", "a\nffff  b.txt", "text/plain")

    assert (await made("checksum", evil)).text.count("\n") == 1


async def test_hashing_does_not_block_and_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.symlink_to("/dev/zero")
    file = InputFile(endless, "endless", "application/octet-stream", 2**40, "")
    begun, loop = asyncio.Event(), asyncio.get_running_loop()
    before = threading.active_count()

    def tell(*_: object) -> None:
        loop.call_soon_threadsafe(begun.set)

    input_data = ToolInput((file,), tmp_path, tell)
    task = asyncio.create_task(Checksum().process(input_data, ChecksumOptions()))
    await asyncio.wait_for(begun.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    # The default executor keeps its threads; none of them hashes on.
    await asyncio.wait_for(asyncio.to_thread(lambda: None), 30)
    assert threading.active_count() <= before + 2


async def no_op(tmp_path: Path, **options: Any) -> list[float]:
    seen: list[float] = []
    run = ToolRun("no-op", options, (), tmp_path / "nowhere", NoOp.limits)
    result = await execute(NoOp(), run, lambda fraction, _: seen.append(fraction))
    assert result.outputs == ()
    return seen


async def test_a_no_op_does_nothing_and_needs_no_folder(tmp_path: Path) -> None:
    assert await no_op(tmp_path) == []
    assert not any(os.scandir(tmp_path))


async def test_a_no_op_waits_as_long_as_it_is_told_and_tells_how_far_it_is(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()

    assert await no_op(tmp_path, seconds=0.3) == [0.0, 0.5]
    assert loop.time() - started >= 0.29


@pytest.mark.parametrize(
    ("outcome", "code", "permanent"),
    [
        ("permanent", "DRILL_FAILED", True),
        ("transient", "DRILL_FAILED", False),
        ("crash", "TOOL_CRASHED", False),
    ],
)
async def test_a_no_op_fails_as_it_is_told(
    tmp_path: Path, outcome: str, code: str, permanent: bool
) -> None:
    with pytest.raises(ToolProcessingError) as caught:
        await no_op(tmp_path, outcome=outcome)

    assert (caught.value.code, caught.value.permanent) == (code, permanent)
