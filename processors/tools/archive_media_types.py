"""Which type a file from an archive is given: by its suffix, where its first bytes agree."""

from processors.tools.signatures import XLSX

OCTETS = "application/octet-stream"
BY_SUFFIX = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "flac": "audio/flac",
    "gif": "image/gif",
    "gz": "application/gzip",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "pdf": "application/pdf",
    "png": "image/png",
    "srt": "application/x-subrip",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "txt": "text/plain",
    "wav": "audio/x-wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "xlsx": XLSX,
    "zip": "application/zip",
}
"""Nothing that a browser would run."""
OUTPUT_FORMATS = sorted({*BY_SUFFIX.values(), OCTETS})


def media_type_of(name: str) -> str:
    """The type that a name tells."""
    return BY_SUFFIX.get(name.rpartition(".")[2].lower(), OCTETS)
