"""Damages files as chance wants: bits, numbers, and pieces that are missing, moved or doubled."""

import random
import struct
from collections.abc import Callable
from typing import Final

NUMBERS: Final = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
"""Where lengths, counts and sizes break."""
CHANGES_MAX: Final = 3


def mutated(content: bytes, dice: random.Random) -> bytes:
    """The file after a few changes; the same dice make the same changes."""
    damaged = bytearray(content)
    for _ in range(dice.randint(1, CHANGES_MAX)):
        if damaged:
            dice.choice(_CHANGES)(damaged, dice)
    return bytes(damaged)


def _flip_bit(file: bytearray, dice: random.Random) -> None:
    file[dice.randrange(len(file))] ^= 1 << dice.randrange(8)


def _flip_bit_near_the_start(file: bytearray, dice: random.Random) -> None:
    file[dice.randrange(min(len(file), 64))] ^= 1 << dice.randrange(8)


def _set_number(file: bytearray, dice: random.Random) -> None:
    form = dice.choice(["<I", ">I", "<H", ">H", "B"])
    size = struct.calcsize(form)
    at = dice.randrange(max(1, len(file) - size))
    file[at : at + size] = struct.pack(form, dice.choice(NUMBERS) & (256**size - 1))


def _cut_end(file: bytearray, dice: random.Random) -> None:
    del file[dice.randrange(len(file)) :]


def _cut_piece(file: bytearray, dice: random.Random) -> None:
    start, length = _piece(file, dice)
    del file[start : start + length]


def _double_piece(file: bytearray, dice: random.Random) -> None:
    start, length = _piece(file, dice)
    file[start:start] = file[start : start + length]


def _move_piece(file: bytearray, dice: random.Random) -> None:
    start, length = _piece(file, dice)
    piece = file[start : start + length]
    del file[start : start + length]
    at = dice.randrange(len(file) + 1)
    file[at:at] = piece


def _overwrite_piece(file: bytearray, dice: random.Random) -> None:
    start, length = _piece(file, dice)
    file[start : start + length] = dice.randbytes(length)


def _piece(file: bytearray, dice: random.Random) -> tuple[int, int]:
    start = dice.randrange(len(file))
    return start, dice.randint(1, min(len(file) - start, 512))


_CHANGES: Final[tuple[Callable[[bytearray, random.Random], None], ...]] = (
    _flip_bit,
    _flip_bit_near_the_start,
    _set_number,
    _cut_end,
    _cut_piece,
    _double_piece,
    _move_piece,
    _overwrite_piece,
)
