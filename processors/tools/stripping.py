"""Takes metadata out of pictures and PDF documents.

Importing this imports Pillow and pikepdf, so tools do it when they run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin

from processors.tools.base import (
    OutputFile,
    ToolInput,
    ToolProcessingError,
    ToolResult,
    UnsupportedMediaType,
)
from processors.tools.filenames import output_name
from processors.tools.metadata_stripper import OUTPUT_FORMATS, MetadataStripperOptions
from processors.tools.parsing import parsing
from processors.tools.pdf_active import has_active, remove_active
from processors.tools.pdf_documents import document_of, rewriting_losses, saved
from processors.tools.picture_formats import BY_ENCODER, FORMATS, PictureFormat
from processors.tools.picture_parts import BARE, bare_exif, bare_jpeg, is_lossless_webp
from processors.tools.pixels import check_frames, decoding, opened

ENCODED_ANEW = "It was encoded anew."
LOSSY_QUALITY = 90
ORIENTATIONS = range(1, 9)
ABOUT_THE_DOCUMENT = ("/Metadata", "/PieceInfo", "/LastModified", "/Thumb")


def stripped(input_data: ToolInput, options: MetadataStripperOptions) -> ToolResult:
    """The first input, a picture, with what is drawn and no more."""
    file = input_data.files[0]
    with opened(file) as source:
        kind = FORMATS[BY_ENCODER.get(source.format or "", "jpeg")]
        if kind.media_type not in OUTPUT_FORMATS:
            raise UnsupportedMediaType(f"A {source.format} holds nothing that could be taken out.")
        path = input_data.folder / f"stripped{kind.suffix}"
        notes = _write(source, kind, file.path, path, options)
    output = OutputFile(output_name(input_data.files, kind.suffix), path, kind.media_type)
    return ToolResult((output,), tuple(notes))


def _write(
    source: Image.Image,
    kind: PictureFormat,
    read_from: Path,
    path: Path,
    options: MetadataStripperOptions,
) -> list[str]:
    count = decode_all(source)
    # Asked after the decoding, which turns a TIFF.
    orientation = orientation_of(source)
    is_turned = orientation != 1 and options.orientation == "apply"
    is_one_of_many = source.format in ("MPO", "HEIF") and count > 1
    notes = [f"The first of {count} pictures in the file was kept."] if is_one_of_many else []
    if source.format in BARE and not is_turned:
        with parsing():
            bare = BARE[source.format](
                read_from.read_bytes(), orientation, profile=options.keep_profile
            )
        path.write_bytes(bare)
        return notes
    settings = _settings(source, kind, read_from)
    if not is_turned and orientation != 1:
        settings["exif"] = bare_exif(orientation)
    if options.keep_profile and source.info.get("icc_profile"):
        settings["icc_profile"] = source.info["icc_profile"]
    _encode_anew(source, kind, path, settings, is_turned=is_turned)
    return [*notes, ENCODED_ANEW]


def orientation_of(source: Image.Image) -> int:
    """Which way is up, by the EXIF of a picture; 1 where that says nothing sensible."""
    with decoding():
        orientation = source.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in ORIENTATIONS else 1


def decode_all(source: Image.Image) -> int:
    """Find out whether all of a picture is there; gives the number of its frames."""
    with decoding():
        count: int = getattr(source, "n_frames", 1)
        check_frames(source.size, count)
        for index in range(count):
            source.seek(index)
            source.load()
        source.seek(0)
    return count


def _encode_anew(
    source: Image.Image,
    kind: PictureFormat,
    path: Path,
    settings: dict[str, Any],
    *,
    is_turned: bool,
) -> None:
    with decoding():
        frames = _bare_frames(source, is_turned=is_turned)
    if len(frames) > 1:
        settings |= {"save_all": True, "append_images": frames[1:]}
        settings |= {key: source.info[key] for key in ("duration", "loop") if key in source.info}
    frames[0].save(path, kind.encoder, **settings)


def _bare_frames(source: Image.Image, *, is_turned: bool) -> list[Image.Image]:
    frames = []
    count = 1 if source.format in ("MPO", "HEIF") else getattr(source, "n_frames", 1)
    for index in range(count):
        source.seek(index)
        frame = ImageOps.exif_transpose(source) if is_turned else source.copy()
        frame.info = {key: frame.info[key] for key in ("transparency",) if key in frame.info}
        frames.append(frame)
    return frames


def _settings(source: Image.Image, kind: PictureFormat, read_from: Path) -> dict[str, Any]:
    match kind.encoder:
        case "JPEG":
            # The very steps of brightness and colour that it was encoded with.
            return {
                "qtables": getattr(source, "quantization", None),
                "subsampling": JpegImagePlugin.get_sampling(source),
            }
        case "WEBP":
            is_lossless = is_lossless_webp(read_from.read_bytes())
            return {"lossless": is_lossless, "exact": True, "quality": LOSSY_QUALITY}
        case "TIFF":
            return {"compression": "tiff_adobe_deflate"}
        case "AVIF":
            return {"quality": LOSSY_QUALITY, "max_threads": 1}
        case "HEIF":
            return {"quality": LOSSY_QUALITY}
    return {}


def stripped_document(input_data: ToolInput, options: MetadataStripperOptions) -> ToolResult:
    """The first input, a PDF, without what is about it; its pictures are stripped as well."""
    with document_of(input_data) as document:
        notes = [*rewriting_losses(document), *_active_content(document, options)]
        if "/Info" in document.trailer:
            del document.trailer["/Info"]
        for thing in document.objects:
            if isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
                _strip_object(thing)
        document.remove_unreferenced_resources()
        return ToolResult((saved(document, input_data),), tuple(notes))


def _active_content(document: pikepdf.Pdf, options: MetadataStripperOptions) -> Iterator[str]:
    if options.active_content == "remove":
        if remove_active(document):
            yield "Scripts, actions or files were taken out."
    elif has_active(document):
        yield "The document still holds scripts, actions or files; `active_content` removes them."


def _strip_object(thing: pikepdf.Dictionary | pikepdf.Stream) -> None:
    for name in ABOUT_THE_DOCUMENT:
        if name in thing:
            del thing[name]
    if isinstance(thing, pikepdf.Stream) and _is_plain_jpeg(thing):
        try:
            bare = bare_jpeg(thing.read_raw_bytes(), 1, profile=True)
        except (ToolProcessingError, IndexError):
            # A picture that cannot be read stays; viewers will not show it either.
            return
        thing.write(bare, filter=pikepdf.Name.DCTDecode)


def _is_plain_jpeg(stream: pikepdf.Stream) -> bool:
    return stream.get("/Filter") == pikepdf.Name.DCTDecode and "/DecodeParms" not in stream
