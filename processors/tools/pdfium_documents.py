"""Opens PDF documents with PDFium, which knows how pages look.

Importing this imports pypdfium2, so tools do it when they run.
"""

import pypdfium2
import pypdfium2.raw

from processors.tools.base import InputFile, PasswordRequired
from processors.tools.documents import check_whole

POINTS_PER_INCH = 72


def opened(file: InputFile) -> pypdfium2.PdfDocument:
    """A document that is a PDF to its end."""
    check_whole(file)
    try:
        return pypdfium2.PdfDocument(file.path)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise PasswordRequired from None
        raise
