"""What a tool that draws codes is given to draw: a short file of text, or an option."""

from pydantic import Field

from processors.tools.base import (
    CorruptFile,
    DocumentedError,
    InvalidOptions,
    ToolInput,
    ToolOptions,
    ToolProcessingError,
)
from processors.tools.filenames import output_name

TEXT_LENGTH_MAX = 8_000
"""More than any code can hold."""


class TextTooLong(DocumentedError):
    """The text does not fit into a code of this kind."""

    CODE = "TEXT_TOO_LONG"


class CodeOptions(ToolOptions):
    """What both kinds of code are drawn from."""

    text: str | None = Field(
        default=None,
        min_length=1,
        max_length=TEXT_LENGTH_MAX,
        title="Text",
        description="What the code says; in the place of a file.",
        examples=["https://example.org"],
    )


def text_of(input_data: ToolInput, options: CodeOptions) -> str:
    """The text of the file or of the option; the line break at the end of a file is not of it."""
    if bool(input_data.files) == (options.text is not None):
        raise InvalidOptions("text: give either a file or this option.", field="text")
    if options.text is not None:
        return options.text
    file = input_data.files[0]
    if file.size_bytes > 4 * TEXT_LENGTH_MAX:
        raise TextTooLong
    try:
        text = file.path.read_text("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise CorruptFile("The text is not UTF-8.") from None
    if not text:
        raise CorruptFile("The file holds nothing but a line break.")
    return text


def does_not_fit(input_data: ToolInput, why: str) -> ToolProcessingError:
    """The error for a text that a code cannot hold; it names the option if that is where it is."""
    if input_data.files:
        return TextTooLong(why)
    return InvalidOptions(f"text: {why}", field="text")


def code_name(input_data: ToolInput, fallback: str, suffix: str) -> str:
    """The name of the picture."""
    if not input_data.files:
        return f"{fallback}{suffix}"
    return output_name(input_data.files, suffix)
