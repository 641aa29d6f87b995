"""Runs every hostile deed behind all walls of this machine and tells what became of each.

A program of its own, so that a test can start it as root and as an ordinary user. It prints one
JSON object: the isolation, the code or the words of each case, and the processes that are left.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from processors.sandbox.proc import children, descendants
from processors.sandbox.run import ToolRun
from processors.sandbox.runner import Sandbox
from processors.sandbox.zygote import SPARES
from processors.tools.base import GENERAL, ToolProcessingError
from processors.tools.registry import Registry
from tests.fixtures.waiting import eventually
from tests.integration.processors.sandbox.hostile_tools import HOSTILE, PIDS, Bomb
from tests.integration.processors.sandbox.prying_tools import Pry, PryInCompany

REGISTRY = "tests.integration.processors.sandbox.gauntlet:registry"

DEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "loop": ("looper", {}),
    "bomb": ("bomb", {}),
    "multiply": ("multiplier", {}),
    "memory": ("hog", {}),
    "memory of many": ("herd", {}),
    "large file": ("big-file", {}),
    "full disk": ("filler", {}),
    "endless": ("burner", {}),
    "deaf and endless": ("deaf-burner", {}),
    "abort": ("ender", {"how": "abort"}),
    "segfault": ("ender", {"how": "segfault"}),
    "exit": ("ender", {"how": "exit"}),
    "babble": ("ender", {"how": "babble"}),
    **{f"output {what}": ("forger", {"what": what}) for what in ("empty", "type", "content")},
    "output elsewhere": ("forger", {"what": "symlink", "target": "/etc/passwd"}),
}
PRIES = {
    "passwd": ("read", "/etc/passwd"),
    "environment": ("read", "/proc/{zygote}/environ"),
    "other run": ("read", "{folder}/other/secret"),
    "tcp": ("tcp", "{port}"),
    "udp": ("udp", ""),
    "unix": ("unix-socket", "{folder}/server"),
    "signal parent": ("signal-parent", "{zygote}"),
    "signal worker": ("signal-parent", "{worker}"),
    "trace parent": ("trace-parent", "{zygote}"),
    "new user": ("new-user", ""),
}


def registry() -> Registry:
    """All that misbehaves."""
    return Registry((*HOSTILE, Bomb, Pry, PryInCompany))


TOOLS = registry()


async def became(box: Sandbox, folder: Path, tool: str, options: dict[str, Any]) -> str:
    """The code of a run that failed, or what a curious one said."""
    os.makedirs(folder)  # noqa: PTH103
    run = ToolRun(tool, options, (), folder, TOOLS.get(tool).limits)
    try:
        outcome = await box.run(run, lambda *_: None)
    except ToolProcessingError as error:
        return f"{error.code}: {error.message}"
    return outcome.outputs[0].path.read_text()


def noted(folder: Path) -> list[str]:
    """The processes that have told that they were there."""
    return [pid for path in folder.glob(f"*/{PIDS}") for pid in path.read_text().split()]


def alive(pids: list[str]) -> list[str]:
    """Those that are there still."""
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


async def main(folder: Path) -> None:
    """Run all of them, one after the other."""
    (folder / "other").mkdir()
    (folder / "other" / "secret").write_text("secret")
    unix = await asyncio.start_unix_server(lambda _, w: w.close(), folder / "server")
    tcp = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", 0)
    box = Sandbox(REGISTRY)
    await box.start()
    zygote = box.zygotes[GENERAL]
    names = {
        "folder": folder,
        "zygote": zygote.pid,
        "worker": os.getpid(),
        "port": tcp.sockets[0].getsockname()[1],
    }
    told = {name: await became(box, folder / name, *deed) for name, deed in DEEDS.items()}
    for tool in ("pry", "pry-in-company"):
        for name, (way, target) in PRIES.items():
            options = {"way": way, "target": target.format(**names)}
            told[f"{tool}: {name}"] = await became(box, folder / f"{tool} {name}", tool, options)
    await eventually(lambda: len(children(zygote.pid)) == SPARES)
    report = {
        "level": box.isolation.level,
        "missing": box.isolation.missing,
        "told": told,
        "left": descendants([zygote.pid])[1 + SPARES :],
        "noted": len(noted(folder)),
        "alive": alive(noted(folder)),
        "same zygote": box.zygotes[GENERAL] is zygote,
    }
    await box.stop()
    unix.close()
    tcp.close()
    sys.stdout.write(f"{json.dumps(report)}\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
