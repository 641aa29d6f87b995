"""Which tools ask for more isolation than there is: they are unavailable rather than run weaker."""

from collections.abc import Iterable

from processors.sandbox.run import Isolation
from processors.tools.base import Level
from processors.tools.registry import AnyTool


def unmet(
    tools: Iterable[AnyTool], isolation: Isolation, minimum: Level, *, inline: bool
) -> dict[str, str]:
    """Why each of the tools that cannot be walled in well enough is not offered, by name.

    `minimum` is asked for all tools; with `inline` not for those that run inside the worker.
    """
    reasons = {}
    for tool in tools:
        needed = tool.isolation_min if inline and runs_inline(tool) else _stronger(tool, minimum)
        if isolation.level < needed:
            missing = "; ".join(isolation.missing) or "nothing more is known"
            reasons[tool.name] = f"needs isolation {needed}, there is {isolation.level}: {missing}"
    return reasons


def runs_inline(tool: AnyTool) -> bool:
    """Whether a tool may run inside the worker: it is trusted and asks for no walls."""
    return tool.trusted and tool.isolation_min == "L0"


def _stronger(tool: AnyTool, minimum: Level) -> Level:
    return max(tool.isolation_min, minimum)
