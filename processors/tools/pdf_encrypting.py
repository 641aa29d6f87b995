"""Encrypts PDF documents with qpdf.

Importing this imports pikepdf, so tools do it when they run.
"""

import secrets
from typing import Final

from pikepdf import Encryption, Permissions

from processors.tools.base import OutputFile, ToolInput, ToolResult
from processors.tools.documents import PDF
from processors.tools.filenames import output_name
from processors.tools.pdf_active import active_notes
from processors.tools.pdf_documents import document_of, is_signed
from processors.tools.pdf_encrypter import Password, PdfEncrypterOptions

AES_256: Final = 6
"""The revision of the standard's security handler that stands for it."""


def encrypted(input_data: ToolInput, options: PdfEncrypterOptions) -> ToolResult:
    """The document, shut."""
    path = input_data.folder / "encrypted.pdf"
    notes = []
    with document_of(input_data) as document:
        if is_signed(document):
            notes.append("The document was signed; the signature does not hold any more.")
        if document.is_encrypted:
            notes.append("The restrictions that the document had are replaced.")
        notes += active_notes(document)
        document.save(path, encryption=_encryption(options))
    return ToolResult((OutputFile(output_name(input_data.files, ".pdf"), path, PDF),), tuple(notes))


def _encryption(options: PdfEncrypterOptions) -> Encryption:
    # An empty owner's password would open the document to everybody.
    owner = _text(options.owner_password) or secrets.token_urlsafe(32)
    return Encryption(
        owner=owner, user=_text(options.user_password), R=AES_256, allow=_permissions(options)
    )


def _text(password: Password) -> str:
    return "" if password is None else password.get_secret_value()


def _permissions(options: PdfEncrypterOptions) -> Permissions:
    return Permissions(
        # Readers for the blind may always read.
        accessibility=True,
        extract=options.copying,
        modify_annotation=options.annotating,
        modify_form=options.annotating,
        modify_assembly=options.changing,
        modify_other=options.changing,
        print_lowres=options.printing != "none",
        print_highres=options.printing == "full",
    )
