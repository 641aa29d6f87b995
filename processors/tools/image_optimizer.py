"""Makes picture files smaller without a change that anybody could see."""

from typing import ClassVar

from processors.tools.base import (
    MIB,
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.options import NO_UNIT, option

FORMATS = ["image/jpeg", "image/png", "image/webp", "image/gif"]


class ImageOptimizerOptions(ToolOptions):
    """How hard to try, and what may go."""

    effort: int = option(
        2,
        title="Effort",
        description="For PNG: 0 (quick) to 6 (small); each step about doubles the time.",
        examples=[4],
        unit=NO_UNIT,
        ge=0,
        le=6,
    )
    strip_metadata: bool = option(
        True,
        title="Strip metadata",
        description="Leave out EXIF, comments and thumbnails; which way is up and the colour"
        " profile stay.",
        examples=[False],
    )
    quality: int | None = option(
        None,
        title="Quality",
        description="Encode a JPEG or WebP anew with that quality, 1 (small) to 100 (faithful), if"
        " that is smaller; if unset, every pixel stays as it is.",
        examples=[75],
        unit=NO_UNIT,
        ge=1,
        le=100,
    )


class ImageOptimizer(BaseTool[ImageOptimizerOptions]):
    """Never gives more than it got, and without a quality never another pixel: it looks."""

    name = "image-optimizer"
    description = "Makes a JPEG, PNG, WebP or GIF smaller; without loss unless it is told."
    version = "1.0.1"
    input_formats: ClassVar[list[str]] = FORMATS
    output_formats: ClassVar[list[str]] = FORMATS
    # A PNG of 64 million pixels at a high effort takes minutes on one processor.
    limits = ToolLimits(
        wall_seconds=600.0, cpu_seconds=480, memory_bytes=2048 * MIB, processes_max=2
    )
    group = "images"
    modules = (
        "PIL",
        "oxipng",
        "mozjpeg_lossless_optimization",
        "processors.tools.picture_optimizing",
    )
    extra = "images"
    compares_with = (
        Comparison(
            "oxipng",
            "oxipng -o 2 --strip safe --out out.png in.png",
            ("It is oxipng that optimises a PNG here, an animated one included.",),
        ),
        Comparison(
            "jpegtran",
            "jpegtran -copy icc -optimize -progressive -outfile out.jpg in.jpg",
            (
                "It is mozjpeg's jpegtran that optimises a JPEG here; the note which way is up"
                " stays, where jpegtran drops it.",
                "The smaller of input and output is given; jpegtran's may be larger.",
            ),
        ),
        Comparison(
            "ImageOptim",
            "imageoptim in.png",
            (
                "ImageOptim tries more programs, some lossy, and overwrites the file.",
                "Every result is decoded again and compared with the input.",
            ),
        ),
    )
    Options = ImageOptimizerOptions

    async def process(self, input_data: ToolInput, options: ImageOptimizerOptions) -> ToolResult:
        """Optimise the one picture."""
        from processors.tools.picture_optimizing import optimized

        return optimized(input_data, options)
