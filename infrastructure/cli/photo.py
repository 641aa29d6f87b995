"""A photograph made by code, to try the platform with: hills at sunset, taken with a tilted camera.

It has gradients, edges and grain, so that compression has work; it lies on its side with an EXIF
orientation that says so, and carries a GPS position that a converter should not hand on.
"""

import io
import math
import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIZE = (2400, 1600)
QUALITY = 92
GRAIN_SIGMA = 14
RIDGES = 6
RIDGE_STEP = 8
SEED = 6
ZENITH, HORIZON = (38, 58, 122), (252, 176, 96)
SUN = (255, 236, 178)
NEAREST, FARTHEST = (22, 30, 34), (150, 110, 120)
TURN_90_CLOCKWISE = 6
ORIENTATION_TAG, CAMERA_TAG, GPS_TAG = 0x0112, 0x0110, 0x8825


def photo() -> bytes:
    """A JPEG that has to be turned by 90° to stand upright."""
    picture = _sky()
    draw = ImageDraw.Draw(picture)
    x, y, reach = SIZE[0] * 2 // 3, SIZE[1] * 2 // 5, SIZE[1] // 12
    draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=SUN)
    picture = picture.filter(ImageFilter.GaussianBlur(6))
    _draw_hills(picture)
    grain = Image.effect_noise(SIZE, GRAIN_SIGMA).convert("RGB")
    picture = ImageChops.overlay(picture, grain).transpose(Image.Transpose.ROTATE_90)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY, exif=_exif())
    return file.getvalue()


def _sky() -> Image.Image:
    down = Image.linear_gradient("L").resize(SIZE)
    return Image.composite(Image.new("RGB", SIZE, HORIZON), Image.new("RGB", SIZE, ZENITH), down)


def _draw_hills(picture: Image.Image) -> None:
    draw, dice = ImageDraw.Draw(picture), random.Random(SEED)  # noqa: S311
    width, height = SIZE
    for ridge in range(RIDGES):
        nearness = ridge / (RIDGES - 1)
        waves = [(dice.uniform(1, 9), dice.uniform(0, math.tau)) for _ in range(5)]
        line = [
            (x, height * (0.5 + 0.4 * nearness) + _height(x / width, waves) * height * 0.06)
            for x in range(0, width + RIDGE_STEP, RIDGE_STEP)
        ]
        draw.polygon([(0, height), *line, (width, height)], fill=_between(nearness))


def _height(at: float, waves: list[tuple[float, float]]) -> float:
    return sum(math.sin(at * math.tau * pace + phase) / pace for pace, phase in waves)


def _between(nearness: float) -> tuple[int, ...]:
    pairs = zip(FARTHEST, NEAREST, strict=True)
    return tuple(round(far + (near - far) * nearness) for far, near in pairs)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = TURN_90_CLOCKWISE
    exif[CAMERA_TAG] = "MagicToolbox demo camera"
    exif[GPS_TAG] = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
    return exif
