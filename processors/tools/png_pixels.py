"""Cuts off what a PNG packs behind its pixels: nothing shows it, but it unpacks to anything."""

import struct
import zlib
from typing import Final

from processors.tools.base import MIB

CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By the type of colour that a header names."""
WHOLE: Final = ((0, 0, 1, 1),)
INTERLACED: Final = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""The passes of Adam7: where each begins, and the steps it takes to the right and down."""
PIECE_BYTES: Final = 64 * 1024
Chunk = tuple[bytes, bytes]
"""Its kind and what it holds."""


def without_surplus(chunks: list[Chunk]) -> list[Chunk]:
    """The chunks of a still PNG from its header on, with no more packed than is shown."""
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    shown = shown_bytes(chunks[0][1])
    if not _holds_more(packed, shown):
        return chunks
    first = next(place for place, (kind, _) in enumerate(chunks) if kind == b"IDAT")
    rest = [chunk for chunk in chunks[first:] if chunk[0] != b"IDAT"]
    pixels = zlib.compress(zlib.decompressobj().decompress(packed, shown))
    return [*chunks[:first], (b"IDAT", pixels), *rest]


def shown_bytes(header: bytes) -> int:
    """To how many bytes the pixels unpack that a header announces."""
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", header)
    bits, count = depth * CHANNELS[colour], 0
    for left, top, right, down in INTERLACED if interlace else WHOLE:
        columns, rows = -((left - width) // right), -((top - height) // down)
        # Before each row stands how it is filtered; a pass without columns has no rows either.
        count += rows * (1 + (columns * bits + 7) // 8) if columns else 0
    return count


def _holds_more(packed: bytes, shown: int) -> bool:
    """Whether anything follows the pixels; what is damaged is left to whoever decodes it."""
    reader = zlib.decompressobj()
    try:
        for at in range(0, len(packed), PIECE_BYTES):
            piece = packed[at : at + PIECE_BYTES]
            while piece and shown >= 0 and not reader.eof:
                shown -= len(reader.decompress(piece, MIB))
                piece = reader.unconsumed_tail
            if shown < 0 or piece:
                return True
        # The last call may have left some bytes, for want of room.
        shown -= len(reader.decompress(b"", MIB))
    except zlib.error:
        return False
    return shown < 0 or bool(reader.unused_data)
