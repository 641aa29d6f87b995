"""What a tool can do only where an extra is installed, asked when it is wanted.

For a tool that is of use without; one that is not names its modules, and is then unavailable.
"""

from importlib.util import find_spec

from processors.tools.base import DocumentedError, install_command


class NotInstalled(DocumentedError):
    """This installation lacks what the file or the options ask for."""

    CODE = "NOT_INSTALLED"


def is_installed(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def needed(module: str, extra: str, purpose: str, *, field: str | None = None) -> None:
    """Refuse what needs a module that is not there; `purpose` begins the sentence."""
    if not is_installed(module):
        raise NotInstalled(f"{purpose} need the extra: {install_command(extra)}.", field=field)
