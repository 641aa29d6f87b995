"""Where an error came from, fit for logs: what an error says may quote the file of a stranger."""

import traceback

STACK_LENGTH_MAX = 8_000


def stack_of(error: BaseException) -> str:
    """The frames and the class of an error, without its message."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{frames}{type(error).__qualname__}"[-STACK_LENGTH_MAX:]
