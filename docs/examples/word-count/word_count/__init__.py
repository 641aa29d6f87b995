"""Word count: counts the words, lines and characters of texts."""

import json
from typing import ClassVar

from processors.tools.base import (
    BaseTool,
    Comparison,
    CorruptFile,
    InputFile,
    OutputFile,
    ToolInput,
    ToolLimits,
    ToolOptions,
)
from processors.tools.options import option


class WordCountOptions(ToolOptions):
    """What counts as a word."""

    shortest: int = option(
        1,
        title="Shortest word",
        description="Words with fewer letters are not counted.",
        examples=[3],
        unit="letters",
        ge=1,
        le=100,
    )


class WordCount(BaseTool[WordCountOptions]):
    """Words are what white space parts."""

    name = "word-count"
    description = "Counts the words, lines and characters of text files."
    version = "1.0.0"
    input_formats: ClassVar[list[str]] = ["text/*"]
    output_formats: ClassVar[list[str]] = ["application/json"]
    limits = ToolLimits(wall_seconds=30.0, inputs_max=20)
    compares_with = (
        Comparison(
            "wc",
            "wc -lwm a.txt b.txt",
            (
                "The answer is JSON with a sum; wc prints columns.",
                "Short words can be left out; wc counts all.",
            ),
        ),
    )
    Options = WordCountOptions

    async def process(self, input_data: ToolInput, options: WordCountOptions) -> list[OutputFile]:
        """Count each file, and all together."""
        counts = []
        for number, file in enumerate(input_data.files):
            input_data.progress(number / len(input_data.files), f"file {number + 1}")
            counts.append(_counted(file, options.shortest))
        kinds = ("lines", "words", "characters")
        total = {kind: sum(int(count[kind]) for count in counts) for kind in kinds}
        path = input_data.folder / "counts.json"
        path.write_text(json.dumps({"files": counts, "total": total}, indent=2) + "\n", "utf-8")
        return [OutputFile("counts.json", path, "application/json")]


def _counted(file: InputFile, shortest: int) -> dict[str, str | int]:
    try:
        text = file.path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile("The text is not UTF-8.") from error
    words = sum(1 for word in text.split() if len(word) >= shortest)
    return {
        "name": file.filename,
        "lines": len(text.splitlines()),
        "words": words,
        "characters": len(text),
    }
