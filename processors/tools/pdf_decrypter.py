"""Takes the password off PDF documents, from those who know it."""

from typing import ClassVar

from pydantic import Field, SecretStr

from processors.tools.base import (
    BaseTool,
    Comparison,
    ToolInput,
    ToolLimits,
    ToolOptions,
    ToolResult,
)
from processors.tools.documents import PDF

PASSWORD_BYTES_MAX = 127
"""What the standard takes into account."""


class PdfDecrypterOptions(ToolOptions):
    """What opens the document."""

    password: SecretStr = Field(
        default=SecretStr(""),
        max_length=PASSWORD_BYTES_MAX,
        title="Password",
        description="The user's or the owner's; not needed where only permissions are restricted.",
        examples=["correct horse"],
    )


class PdfDecrypter(BaseTool[PdfDecrypterOptions]):
    """Nothing is guessed: without the password it stays shut."""

    name = "pdf-decrypter"
    description = "Takes the password and the restrictions off a PDF."
    version = "1.1.0"
    input_formats: ClassVar[list[str]] = [PDF]
    output_formats: ClassVar[list[str]] = [PDF]
    limits = ToolLimits()
    opens_encrypted = True
    group = "pdf"
    modules = ("pikepdf", "processors.tools.pdf_documents", "processors.tools.pdf_active")
    compares_with = (
        Comparison(
            "qpdf",
            "qpdf --password=secret --decrypt in.pdf out.pdf",
            (
                "A password on qpdf's command line can be seen by others on that machine.",
                "No password and a wrong one are two different errors.",
                "qpdf also takes certificates' keys in hexadecimal; this takes passwords only.",
            ),
        ),
    )
    Options = PdfDecrypterOptions

    async def process(self, input_data: ToolInput, options: PdfDecrypterOptions) -> ToolResult:
        """Decrypt the one document."""
        from processors.tools.pdf_active import active_notes
        from processors.tools.pdf_documents import document_of, is_signed, saved

        notes = []
        with document_of(input_data, options.password.get_secret_value()) as document:
            if not document.is_encrypted:
                notes.append("The document was not encrypted.")
            if is_signed(document):
                notes.append("The document was signed; the signature does not hold any more.")
            notes += active_notes(document)
            return ToolResult((saved(document, input_data),), tuple(notes))
