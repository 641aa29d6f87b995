"""Opens and saves PDF documents with qpdf, and says what is lost on the way.

Importing this imports pikepdf, so tools do it when they run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pikepdf
from pikepdf import Pdf

from processors.tools.base import (
    InputFile,
    OutputFile,
    PasswordRequired,
    ToolInput,
    TooManyPages,
    WrongPassword,
)
from processors.tools.documents import PAGES_MAX, PDF, check_whole
from processors.tools.filenames import output_name
from processors.tools.parsing import parsing

SIGNATURES_EXIST = 1
"""The bit of `SigFlags` in a form."""


@contextmanager
def reading(subject: str = "The document", *, password: bool = False) -> Iterator[None]:
    """Parse a document; one that the password (or none) does not open is refused by its code."""
    with parsing(f"{subject} is damaged."):
        try:
            yield
        except pikepdf.PasswordError:
            if password:
                raise WrongPassword from None
            raise PasswordRequired(f"{subject} is protected with a password.") from None


@contextmanager
def document_of(input_data: ToolInput, password: str = "") -> Iterator[Pdf]:
    """The first input, whole and with no more pages than are allowed."""
    file = input_data.files[0]
    with reading(password=bool(password)), opened(file, password=password) as document:
        check_page_count(document)
        yield document


def opened(file: InputFile, subject: str = "The document", password: str = "") -> Pdf:
    """A document that is a PDF to its end."""
    check_whole(file, subject)
    return pikepdf.open(file.path, password=password)


def check_page_count(document: Pdf) -> None:
    """Refuse a document with too many pages."""
    if len(document.pages) > PAGES_MAX:
        raise TooManyPages(
            f"The document has {len(document.pages)} pages; {PAGES_MAX} are allowed."
        )


def saved(document: Pdf, input_data: ToolInput, name: str = "document.pdf") -> OutputFile:
    """The document as an output, no longer encrypted; the same input gives the same bytes."""
    path = input_data.folder / name
    write_plainly(document, path)
    return OutputFile(output_name(input_data.files, ".pdf"), path, PDF)


def write_plainly(document: Pdf, path: Path) -> None:
    """Write a document without encryption."""
    document.save(path, deterministic_id=True, encryption=False)


def rewriting_losses(source: Pdf, subject: str = "The document") -> Iterator[str]:
    """What does not survive that a document is written anew."""
    if source.is_encrypted:
        yield f"{subject} was encrypted, the result is not."
    if is_signed(source):
        yield f"{subject} was signed; the signature does not hold for the result."


def copying_losses(source: Pdf, subject: str = "The document") -> Iterator[str]:
    """What does not survive that pages are put into another document."""
    yield from rewriting_losses(source, subject)
    form = _form(source)
    if form is not None and not is_signed(source) and len(form.get("/Fields", [])):
        yield f"{subject} has a form, which can no longer be filled in."


def is_signed(source: Pdf) -> bool:
    """Whether the document says that it holds a signature."""
    form = _form(source)
    return form is not None and bool(int(form.get("/SigFlags", 0)) & SIGNATURES_EXIST)


def _form(source: Pdf) -> pikepdf.Dictionary | None:
    form = source.Root.get("/AcroForm")
    return form if isinstance(form, pikepdf.Dictionary) else None
