"""`magictoolbox demo`: a throw-away platform turns one photo into a WebP, and shows how.

Exits 0 when the result is there, else 1 with the reason; the result stays, the platform and its
folder do not.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from infrastructure.cli.platform import platform
from infrastructure.cli.platform_plan import Wishes
from infrastructure.cli.up import run_to_the_end, tell
from infrastructure.logging import configure_logging


def demo(
    output: Annotated[Path, typer.Option(help="Where the result is left.")] = Path("demo-output"),
) -> None:
    """Start a throw-away platform, convert one photo through its APIs, show the history."""
    configure_logging("demo", "WARNING", out=sys.stderr.buffer)
    sys.exit(run_to_the_end(_demo(output)))


async def _demo(output: Path) -> None:
    # Loads what only the demo needs.
    from infrastructure.cli.demo_walk import walk

    began = time.monotonic()
    data_dir = Path(tempfile.mkdtemp(prefix="magictoolbox-demo-"))
    try:
        async with platform(data_dir, Wishes(), tell) as plan:
            print(f"the platform is ready after {time.monotonic() - began:.1f} s", flush=True)
            await walk(plan, output)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)
    print(f"everything is stopped again; it took {time.monotonic() - began:.1f} s in all")
