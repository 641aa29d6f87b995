"""`make bench`: measure everything, or what is named, and print one table.

python -m tests.benchmarks [append] [relay] [rebuild] …
"""

import importlib
import sys
import traceback
from pathlib import Path

from infrastructure.logging import configure_logging
from tests.benchmarks.stand import stand
from tests.benchmarks.table import Row, rendered

ALL = tuple(
    name
    for name in (
        "append",
        "relay",
        "rebuild",
        "submit",
        "end_to_end",
        "latency",
        "sandbox",
        "rescue",
        "queues",
        "progress",
        "scale_out",
        "idle",
    )
    if (Path(__file__).parent / f"{name}.py").exists()
)


def main() -> None:
    """Run what was asked for; a missed bar is a finding, not a failure of the run."""
    wanted = sys.argv[1:] or ALL
    if unknown := set(wanted) - set(ALL):
        sys.exit(f"there is no benchmark named {', '.join(sorted(unknown))}; there are {ALL}")
    configure_logging("bench", "ERROR", out=sys.stderr.buffer)
    rows: list[Row] = []
    broken: list[str] = []
    for name in wanted:
        try:
            with stand() as servers:
                rows += importlib.import_module(f"tests.benchmarks.{name}").measure(servers, say)
        except Exception:
            # What the others measured is told all the same.
            traceback.print_exc()
            broken.append(name)
    print(rendered(rows))
    if broken:
        sys.exit(f"these broke off: {', '.join(broken)}")


def say(text: str) -> None:
    """Tell a person who waits what is going on."""
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
