"""Takes picture files apart and leaves out what is not the picture, without decoding a pixel.

Each function gives a file of the same format with what is drawn and nothing else: no EXIF, XMP,
IPTC, comment, thumbnail or text, and nothing behind the picture's end. A colour profile stays where
that is wished, and of the EXIF the orientation, which is drawn too.
"""

import struct
import zlib
from collections.abc import Iterator

from processors.tools.base import CorruptFile
from processors.tools.png_pixels import Chunk, without_surplus

START, END, SCAN = 0xD8, 0xD9, 0xDA
RESTARTS = frozenset(range(0xD0, 0xD8))
ALONE = RESTARTS | {0x01, START, END}
"""Markers that no length follows."""
APP0, APP1, APP2, APP14, APP15, COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
JFIF_BYTES = 12
"""The head of a JFIF without the size of its thumbnail."""
PNG_MARK = b"\x89PNG\r\n\x1a\n"
PNG_DRAWN = frozenset(
    [
        *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"),
        *(b"bKGD", b"hIST", b"pHYs", b"acTL", b"fcTL", b"fdAT", b"cICP", b"mDCV", b"cLLI"),
    ]
)
WEBP_DRAWN = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ANIM", b"ANMF", b"ALPH"])
WEBP_PROFILE, WEBP_EXIF, WEBP_XMP = 0x20, 0x08, 0x04
GIF_KEPT = frozenset([b"NETSCAPE2.0", b"ANIMEXTS1.0"])
GIF_PROFILE = b"ICCRGBG1012"


def bare_exif(orientation: int) -> bytes:
    """An EXIF that says which way is up, and nothing else."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def bare_jpeg(content: bytes, orientation: int, *, profile: bool) -> bytes:
    """A JPEG with what is drawn; further pictures behind the first go, too."""
    kept = [b"\xff\xd8"]
    exif = b"Exif\0\0" + bare_exif(orientation)
    is_placed = orientation == 1
    for marker, segment in _jpeg_segments(content):
        if marker == APP0 and segment[4:9] == b"JFIF\0":
            # Without its thumbnail.
            kept.append(b"\xff\xe0\0\x10" + segment[4 : 4 + JFIF_BYTES] + b"\0\0")
            continue
        if not is_placed:
            kept.append(b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
            is_placed = True
        is_profile = marker == APP2 and segment[4:16] == b"ICC_PROFILE\0"
        if (is_profile and profile) or marker == APP14 or not _is_note(marker):
            kept.append(segment)
    return b"".join(kept)


def _is_note(marker: int) -> bool:
    return APP0 <= marker <= APP15 or marker == COMMENT


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The parts of a JPEG from behind its start to its end; a scan with its data is one part."""
    at = 2
    while True:
        at = _marker_at(content, at)
        marker = content[at + 1]
        if marker in ALONE:
            end = at + 2
        else:
            end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
            if marker == SCAN:
                end = _scan_end(content, end)
        if end > len(content):
            raise CorruptFile
        yield marker, content[at:end]
        if marker == END:
            return
        at = end


def _marker_at(content: bytes, at: int) -> int:
    # Any number of 0xFF may stand before a marker.
    while content[at : at + 2] == b"\xff\xff":
        at += 1
    if at + 2 > len(content) or content[at] != 0xFF:
        raise CorruptFile
    return at


def _scan_end(content: bytes, at: int) -> int:
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            raise CorruptFile
        if content[at + 1] != 0 and content[at + 1] not in RESTARTS:
            return at
        at += 2


def bare_png(content: bytes, orientation: int, *, profile: bool) -> bytes:
    """A PNG with what is drawn, an animation included."""
    kept = []
    for kind, body in _png_chunks(content):
        if kind in PNG_DRAWN or (kind == b"iCCP" and profile):
            kept.append((kind, body))
        if kind == b"IHDR" and orientation != 1:
            kept.append((b"eXIf", bare_exif(orientation)))
    return PNG_MARK + b"".join(_png_chunk(*chunk) for chunk in without_surplus(kept))


def _png_chunks(content: bytes) -> Iterator[Chunk]:
    """The parts of a PNG to its end."""
    at = len(PNG_MARK)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, content[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return
        at += 12 + length
    raise CorruptFile


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bare_webp(content: bytes, orientation: int, *, profile: bool) -> bytes:
    """A WebP with what is drawn, an animation included."""
    kept = b""
    flags = 0xFF & ~(WEBP_EXIF | WEBP_XMP | (0 if profile else WEBP_PROFILE))
    exif = b"" if orientation == 1 else bare_exif(orientation)
    for kind, chunk in _webp_chunks(content):
        if kind == b"VP8X":
            turned = WEBP_EXIF if exif else 0
            kept += chunk[:8] + bytes([chunk[8] & flags | turned]) + chunk[9:]
        elif kind in WEBP_DRAWN or (kind == b"ICCP" and profile):
            kept += chunk
    if exif:
        kept += struct.pack("<4sI", b"EXIF", len(exif)) + exif
    return struct.pack("<4sI4s", b"RIFF", len(kept) + 4, b"WEBP") + kept


def is_lossless_webp(content: bytes) -> bool:
    """Whether a WebP is a still picture with every pixel as it was."""
    kinds = {kind for kind, _ in _webp_chunks(content)}
    return b"VP8L" in kinds and not kinds & {b"VP8 ", b"ANMF"}


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, end = 12, min(len(content), 8 + int.from_bytes(content[4:8], "little"))
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", content, at)
        yield kind, content[at : at + 8 + length + length % 2]
        at += 8 + length + length % 2


def bare_gif(content: bytes, orientation: int, *, profile: bool) -> bytes:
    """A GIF with what is drawn, an animation included; a GIF has no orientation."""
    at = 13 + _gif_table(content[10])
    kept = [content[:at]]
    while True:
        start, kind = at, content[at]
        if kind == 0x3B:
            return b"".join([*kept, b";"])
        if kind == 0x2C:
            at = _gif_blocks_end(content, at + 11 + _gif_table(content[at + 9]))
        elif kind == 0x21:
            at = _gif_blocks_end(content, at + 2)
        else:
            raise CorruptFile
        if kind == 0x2C or _is_drawn_extension(content[start:at], profile):
            kept.append(content[start:at])


def _gif_table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_blocks_end(content: bytes, at: int) -> int:
    while content[at]:
        at += content[at] + 1
    return at + 1


def _is_drawn_extension(block: bytes, profile: bool) -> bool:
    if block[1] != 0xFF:
        # Comments go; what controls a frame or draws a text stays.
        return block[1] != 0xFE
    name = block[3:14]
    return name in GIF_KEPT or (name == GIF_PROFILE and profile)


BARE = {"JPEG": bare_jpeg, "MPO": bare_jpeg, "PNG": bare_png, "WEBP": bare_webp, "GIF": bare_gif}
"""By what Pillow calls the format of the file."""
