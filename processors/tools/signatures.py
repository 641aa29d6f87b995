"""The marks by which the first bytes of a file tell its type, for the types that tools deal in."""

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PARQUET = "application/vnd.apache.parquet"
HEAD_BYTES = 64

HEIF_MARKS = tuple((4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"heim", b"heis", b"mif1"))

SIGNATURES: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/gif": ((0, b"GIF8"),),
    "image/tiff": ((0, b"II*\0"), (0, b"MM\0*")),
    "image/bmp": ((0, b"BM"),),
    "image/webp": ((8, b"WEBP"),),
    "image/avif": ((4, b"ftypavif"), (4, b"ftypavis")),
    "image/heic": HEIF_MARKS,
    "image/heif": HEIF_MARKS,
    "image/vnd.microsoft.icon": ((0, b"\0\0\1\0"),),
    "application/pdf": ((0, b"%PDF-"),),
    "application/zip": ((0, b"PK\x03\x04"),),
    "application/x-7z-compressed": ((0, b"7z\xbc\xaf\x27\x1c"),),
    "application/gzip": ((0, b"\x1f\x8b"),),
    "application/x-bzip2": ((0, b"BZh"),),
    "application/x-xz": ((0, b"\xfd7zXZ\0"),),
    "application/zstd": ((0, b"\x28\xb5\x2f\xfd"),),
    "audio/mpeg": ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2")),
    "audio/mp4": ((4, b"ftyp"),),
    "audio/ogg": ((0, b"OggS"),),
    "audio/flac": ((0, b"fLaC"),),
    "audio/wav": ((8, b"WAVE"),),
    "video/mp4": ((4, b"ftyp"),),
    "video/webm": ((0, b"\x1a\x45\xdf\xa3"),),
    PARQUET: ((0, b"PAR1"),),
    DOCX: ((0, b"PK\x03\x04"),),
    EPUB: ((0, b"PK\x03\x04"),),
    ODT: ((0, b"PK\x03\x04"),),
    XLSX: ((0, b"PK\x03\x04"),),
}
"""Where a type has a mark: the offset and the bytes, one of several ways."""


def has_signature(head: bytes, media_type: str) -> bool:
    """Whether the head of a file does not contradict a type; text has no mark, but no NULs."""
    if media_type.startswith("text/") or media_type == "application/json":
        return b"\0" not in head
    marks = SIGNATURES.get(media_type)
    return marks is None or any(head[start:].startswith(mark) for start, mark in marks)


def is_marked_as_any(head: bytes, media_types: list[str]) -> bool:
    """Whether the head bears the mark of one of some types."""
    return any(kind in SIGNATURES and has_signature(head, kind) for kind in media_types)
