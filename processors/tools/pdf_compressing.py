"""Makes PDF documents smaller with qpdf and Pillow.

Importing this imports both, so tools do it when they run. A picture that is not understood, or that
would not get smaller, stays as it is.
"""

import io
import shutil
from typing import Final

import pikepdf
from pikepdf import Name, ObjectStreamMode, Pdf, PdfImage, StreamDecodeLevel, settings
from PIL import Image

from processors.tools.base import OutputFile, ToolInput, ToolResult
from processors.tools.documents import PDF
from processors.tools.filenames import output_name
from processors.tools.pdf_active import active_notes
from processors.tools.pdf_compressor import PdfCompressorOptions
from processors.tools.pdf_documents import document_of, rewriting_losses
from processors.tools.picture_formats import PIXELS_MAX

FLATE_LEVEL: Final = 9
IMAGE_BYTES_MIN = 2_048
"""Smaller pictures are icons and lines, which JPEG spoils and hardly shrinks."""
PLAIN_FILTERS = frozenset({"/FlateDecode", "/DCTDecode"})
PLAIN_SPACES = frozenset({"/DeviceRGB", "/DeviceGray", "/ICCBased"})
PLAIN_MODES = frozenset({"RGB", "L"})
IRREPLACEABLE = ("/ImageMask", "/Decode", "/Mask")
"""What says that the numbers in a picture mean something else than colours."""


def compressed(input_data: ToolInput, options: PdfCompressorOptions) -> ToolResult:
    """The document written anew where that is smaller, and otherwise as it came."""
    source, path = input_data.files[0], input_data.folder / "smaller.pdf"
    settings.set_flate_compression_level(FLATE_LEVEL)
    with document_of(input_data) as document:
        notes, active = list(rewriting_losses(document)), tuple(active_notes(document))
        if options.images == "recompress":
            notes.append(_shrink_images(document, options, input_data))
        document.remove_unreferenced_resources()
        document.save(
            path,
            stream_decode_level=StreamDecodeLevel.generalized,
            object_stream_mode=ObjectStreamMode.generate,
            recompress_flate=True,
            deterministic_id=True,
            encryption=False,
        )
    if path.stat().st_size >= source.size_bytes:
        shutil.copyfile(source.path, path)
        notes = ["The document cannot be made smaller this way; it is as it was."]
    output = OutputFile(output_name(input_data.files, ".pdf"), path, PDF)
    return ToolResult((output,), (*notes, *active))


def _shrink_images(document: Pdf, options: PdfCompressorOptions, input_data: ToolInput) -> str:
    images = [
        thing
        for thing in document.objects
        if isinstance(thing, pikepdf.Stream) and thing.get("/Subtype") == Name.Image
    ]
    shrunk = 0
    for number, image in enumerate(images, 1):
        shrunk += _shrink(image, options)
        input_data.progress(number / len(images) * 0.8, f"picture {number} of {len(images)}")
    return f"Pictures written anew: {shrunk} of {len(images)}."


def _shrink(stream: pikepdf.Stream, options: PdfCompressorOptions) -> bool:
    """Write one picture anew; False when it stays as it is."""
    stored = stream.read_raw_bytes()
    if len(stored) < IMAGE_BYTES_MIN or not _is_plain(stream):
        return False
    try:
        picture = PdfImage(stream).as_pil_image()
        picture.load()
    except Exception:
        # A picture that cannot be read is left to whoever looks at the document.
        return False
    if picture.mode not in PLAIN_MODES:
        return False
    content = _as_jpeg(picture, options)
    if len(content) >= len(stored):
        return False
    _replace(stream, content)
    return True


def _is_plain(stream: pikepdf.Stream) -> bool:
    filters = stream.get("/Filter")
    names = [filters] if isinstance(filters, Name) else list(filters or [])
    return (
        {str(name) for name in names} <= PLAIN_FILTERS
        and not any(key in stream for key in IRREPLACEABLE)
        and _space(stream) in PLAIN_SPACES
        and int(stream.get("/BitsPerComponent", 0)) == 8
        and int(stream.Width) * int(stream.Height) <= PIXELS_MAX
    )


def _space(stream: pikepdf.Stream) -> str:
    space = stream.get("/ColorSpace")
    return str(space[0] if isinstance(space, pikepdf.Array) and len(space) else space)


def _as_jpeg(picture: Image.Image, options: PdfCompressorOptions) -> bytes:
    if options.longest_side:
        picture.thumbnail((options.longest_side,) * 2, Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=options.quality, optimize=True, progressive=True)
    return content.getvalue()


def _replace(stream: pikepdf.Stream, content: bytes) -> None:
    with Image.open(io.BytesIO(content)) as made:
        stream.Width, stream.Height = made.size
    stream.write(content, filter=Name.DCTDecode)
