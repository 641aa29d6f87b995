"""Tools that ask for more isolation than there is."""

from pathlib import Path

import pytest

from processors.sandbox.demands import runs_inline, unmet
from processors.sandbox.inline import InlineRunner
from processors.sandbox.run import Isolation, ToolRun
from processors.tools.base import Level, ToolLimits
from processors.tools.checksum import Checksum
from processors.tools.image_converter import ImageConverter
from processors.tools.no_op import NoOp
from processors.tools.registry import Registry, ToolUnavailable


class Careful(ImageConverter):
    """Demands all walls."""

    name = "careful"
    isolation_min = "L3"


class CarefulThoughTrusted(NoOp):
    """Is trusted and demands walls all the same."""

    name = "careful-though-trusted"
    isolation_min = "L1"


TOOLS = Registry([Careful, CarefulThoughTrusted, Checksum, ImageConverter])


@pytest.mark.parametrize(
    ("level", "minimum", "inline", "names"),
    [
        ("L3", "L3", True, set()),
        ("L2", "L2", True, {"careful"}),
        # The one that is trusted and careful goes into the sandbox: the setting holds for it.
        ("L2", "L3", True, {"careful", "image-converter", "careful-though-trusted"}),
        ("L2", "L3", False, {"careful", "image-converter", "checksum", "careful-though-trusted"}),
        ("L0", "L0", True, {"careful", "careful-though-trusted"}),
    ],
)
def test_whoever_cannot_be_walled_in_well_enough_is_named(
    level: str, minimum: Level, inline: bool, names: set[str]
) -> None:
    isolation = Isolation(level, (), ("landlock: no such call",))

    reasons = unmet(TOOLS.available(), isolation, minimum, inline=inline)

    assert set(reasons) == names
    assert all(f"there is {level}: landlock: no such call" in r for r in reasons.values())


def test_a_tool_that_is_not_walled_in_well_enough_is_offered_with_the_reason() -> None:
    registry = TOOLS.without({"careful": "needs isolation L3"})

    offers = {offer.name: offer for offer in registry.offers()}
    assert len(offers) == 4
    assert offers["careful"].unavailable_reason == "needs isolation L3"
    assert not offers["careful"].available
    assert offers["checksum"].available
    with pytest.raises(ToolUnavailable, match="needs isolation L3"):
        registry.get("careful")
    assert TOOLS.get("careful").name == "careful"


async def test_who_demands_walls_never_runs_inside_the_worker(tmp_path: Path) -> None:
    assert runs_inline(TOOLS.get("checksum"))
    assert not runs_inline(TOOLS.get("careful-though-trusted"))
    run = ToolRun("careful-though-trusted", {}, (), tmp_path, ToolLimits())
    with pytest.raises(ValueError, match="not trusted"):
        await InlineRunner(TOOLS).run(run, lambda *_: None)
