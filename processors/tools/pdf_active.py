"""Finds what runs in a PDF document, or lies in it as a file, and takes it out.

Importing this imports pikepdf, so tools do it when they run. What is drawn stays, and so do links
within the document and to pages in the web.
"""

from collections.abc import Iterator
from typing import Final

import pikepdf
from pikepdf import Pdf

ACTIONS: Final = frozenset(
    {
        *("/JavaScript", "/Launch", "/ImportData", "/SubmitForm"),
        *("/Rendition", "/RichMediaExecute", "/GoToE"),
    }
)
"""Actions that run a script or a program, send the form, or open a file that lies within."""
ANNOTATIONS: Final = frozenset({"/FileAttachment", "/RichMedia", "/Movie", "/Screen", "/3D"})
"""Notes on a page that hold a file or play one."""
LOOKED_AT_MAX: Final = 1_000_000
"""So many containers take some ten seconds; a note is not worth more."""
STILL_THERE: Final = (
    "The result still holds scripts, actions or files; `metadata-stripper` can remove them."
)
TOO_MANY: Final = "The document is too large to be looked through for scripts and files."
FILES: Final = frozenset({"/F", "/UF", "/DOS", "/Mac", "/Unix"})
"""Under which names the bytes of an embedded file lie."""
Container = pikepdf.Dictionary | pikepdf.Array | pikepdf.Stream


def has_active(document: Pdf) -> bool:
    """Whether the document holds any such thing."""
    return any(_places(container) for container in _containers(document))


def active_notes(document: Pdf) -> Iterator[str]:
    """What a tool that lets all of them stay says of it."""
    for number, container in enumerate(_containers(document)):
        if number == LOOKED_AT_MAX:
            yield TOO_MANY
            return
        if _places(container):
            yield STILL_THERE
            return


def remove_active(document: Pdf) -> bool:
    """Take all of them out; tells whether there were any."""
    found = False
    for container in list(_containers(document)):
        for place in reversed(_places(container)):
            del container[place]
            found = True
    return found


def _containers(document: Pdf) -> Iterator[Container]:
    """All that holds other things: the document's objects, and what lies directly in them."""
    for each in document.objects:
        waiting = [each]
        while waiting:
            thing = waiting.pop()
            if isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
                inner = [value for _, value in thing.items()]
            elif isinstance(thing, pikepdf.Array):
                inner = list(thing)
            else:
                continue
            yield thing
            waiting += [
                value
                for value in inner
                if isinstance(value, pikepdf.Object) and not value.is_indirect
            ]


def _places(container: Container) -> list[str | int]:
    """Where in a container it lies."""
    if isinstance(container, pikepdf.Array):
        return [index for index, value in enumerate(container) if _is_active(value)]
    return [
        key
        for key, value in container.items()
        if _is_active(value)
        or (key == "/AA" and _is_all_actions(value))
        or (key in ("/JavaScript", "/EmbeddedFiles") and _is_name_tree(value))
        or (key == "/XFA" and "/Fields" in container)
    ]


def _is_active(thing: object) -> bool:
    if not isinstance(thing, pikepdf.Dictionary):
        return False
    is_file = isinstance(held := thing.get("/EF"), pikepdf.Dictionary) and set(held.keys()) <= FILES
    action, kind = str(thing.get("/S")), str(thing.get("/Subtype"))
    return is_file or action in ACTIONS or kind in ANNOTATIONS


# Fonts and the like may have any name, also one of these; what a name holds tells.
def _is_all_actions(thing: object) -> bool:
    return isinstance(thing, pikepdf.Dictionary) and all(
        isinstance(value, pikepdf.Dictionary) and "/S" in value for _, value in thing.items()
    )


def _is_name_tree(thing: object) -> bool:
    return isinstance(thing, pikepdf.Dictionary) and ("/Names" in thing or "/Kids" in thing)
