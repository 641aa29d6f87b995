"""What the errors of parsers mean."""

import errno

import pytest

from processors.tools.base import CorruptFile, TooManyPages
from processors.tools.parsing import parsing


class PanicException(BaseException):
    """Stands for the panics of libraries in Rust, whose class cannot be imported."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret content"),
        SyntaxError("broken PNG"),
        OSError("image file is truncated"),
        OSError(errno.EINVAL, "a wild offset"),
        PanicException("index out of bounds"),
    ],
    ids=repr,
)
def test_whatever_a_parser_raises_says_that_the_file_is_damaged(error: BaseException) -> None:
    with pytest.raises(CorruptFile) as caught, parsing("File 1 is damaged."):
        raise error

    assert caught.value.message == "File 1 is damaged."
    assert type(error).__name__ in (caught.value.stack or "")


def test_what_a_parser_says_stays_out_of_the_logs() -> None:
    error = ValueError("secret content")

    with pytest.raises(CorruptFile) as caught, parsing():
        raise error

    assert "secret" not in f"{caught.value.stack}{caught.value.message}"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "disk full"),
        OSError(errno.EFBIG, "file too large"),
        MemoryError(),
        TooManyPages(),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_what_is_not_the_files_fault_is_let_through(error: BaseException) -> None:
    with pytest.raises(type(error)), parsing():
        raise error
