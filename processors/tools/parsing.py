"""Calls parsers on the bytes of strangers, and tells damaged files from a machine in trouble."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from processors.tools.base import CorruptFile, ToolProcessingError
from processors.tools.stacks import stack_of

MACHINE_ERRORS = frozenset(
    [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EFBIG, errno.ENOMEM]
)


@contextmanager
def parsing(message: str = "") -> Iterator[None]:
    """Turn whatever a parser raises into CorruptFile; a parser knows a hundred ways to say so."""
    try:
        yield
    except (ToolProcessingError, MemoryError):
        raise
    except OSError as error:
        if error.errno in MACHINE_ERRORS:
            raise
        raise _corrupt(message, error) from error
    except Exception as error:
        raise _corrupt(message, error) from error
    except BaseException as error:
        # A panic of a library in Rust; its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise _corrupt(message, error) from None


def _corrupt(message: str, error: BaseException) -> CorruptFile:
    return CorruptFile(message, stack=stack_of(error))
