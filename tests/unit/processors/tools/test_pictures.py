"""The tools for pictures."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageCms

from processors.tools.extras import is_installed
from processors.tools.picture_formats import FORMATS
from tests.factories import files
from tests.unit.processors.tools.workbench import Given, made, refused

SOURCES: dict[str, bytes] = {
    "jpeg": files.photo_jpeg(96, 72),
    "jpeg-cmyk": files.cmyk_jpeg(96, 72),
    "png-rgba": files.rgba_png(96, 72),
    "png-16-bit": files.sixteen_bit_png(96, 72),
    "png-black-white": files.encoded(files.photo(96, 72).convert("1"), "PNG"),
    "png-palette": files.encoded(files.photo(96, 72).convert("P"), "PNG"),
    "png-grey-alpha": files.encoded(files.photo(96, 72).convert("LA"), "PNG"),
    "gif": files.animated("GIF", width=96, height=72),
    "webp": files.animated("WEBP", width=96, height=72),
    "avif": files.animated("AVIF", width=96, height=72),
    "apng": files.animated("PNG", width=96, height=72),
    "tiff-pages": files.animated("TIFF", width=96, height=72),
    "tiff-float": files.encoded(files.photo(96, 72).convert("F"), "TIFF"),
    "tiff-ycbcr": files.encoded(files.photo(96, 72).convert("YCbCr"), "TIFF"),
    "bmp": files.encoded(files.photo(96, 72), "BMP"),
}
TARGETS = [name for name in FORMATS if name != "heic" or is_installed("pillow_heif")]
ANIMATED = {"gif", "webp", "avif", "apng"}


def near(colour: Any, wanted: tuple[int, ...], off: int = 24) -> bool:
    return all(abs(a - b) <= off for a, b in zip(colour, wanted, strict=True))


def corners(picture: Image.Image) -> list[Any]:
    picture = picture.convert("RGB")
    right, bottom = picture.width - 4, picture.height - 4
    return [picture.getpixel(point) for point in ((3, 3), (right, 3), (3, bottom), (right, bottom))]


def is_upright(picture: Image.Image) -> bool:
    return all(map(near, corners(picture), files.CORNERS))


@pytest.mark.parametrize(("source", "target"), list(itertools.product(SOURCES, TARGETS)))
async def test_every_kind_of_picture_becomes_every_format(source: str, target: str) -> None:
    result = await made("image-converter", Given(SOURCES[source]), output_format=target)

    kind = FORMATS[target]  # type: ignore[index]
    assert (result.name, result.media_type) == (f"photo{kind.suffix}", kind.media_type)
    assert result.picture.format == kind.encoder
    assert result.picture.size == (96, 72)
    keeps = (source in ANIMATED and kind.is_animated) or source == target + "-pages"
    assert getattr(result.picture, "n_frames", 1) == (3 if keeps else 1)


async def test_a_photo_alone_becomes_a_webp() -> None:
    result = await made("image-converter", Given(files.photo_jpeg(), "Urlaub am Meer.JPG"))

    assert (result.name, result.media_type) == ("Urlaub am Meer.webp", "image/webp")
    assert is_upright(result.picture)
    assert result.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_photo_is_turned_upright(orientation: int) -> None:
    photo = files.photo_jpeg(320, 200, orientation=orientation)

    result = await made("image-converter", Given(photo), strip_metadata=False)

    assert result.picture.size == (320, 200)
    assert is_upright(result.picture)
    assert result.picture.getexif().get(files.EXIF_ORIENTATION, 1) == 1


@pytest.mark.parametrize("target", TARGETS)
async def test_place_and_camera_are_stripped(target: str) -> None:
    photo = files.photo_jpeg(64, 48, gps=True)
    assert files.CAMERA.encode() in photo

    result = await made("image-converter", Given(photo), output_format=target)

    assert not result.picture.getexif().get_ifd(files.EXIF_GPS)
    assert files.CAMERA.encode() not in result.content


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "avif"])
async def test_metadata_stays_where_that_is_wished(target: str) -> None:
    photo = files.photo_jpeg(64, 48, gps=True)

    result = await made("image-converter", Given(photo), output_format=target, strip_metadata=False)

    assert result.picture.getexif()[files.EXIF_MODEL] == files.CAMERA


async def test_metadata_that_a_format_does_not_take_is_missed_aloud() -> None:
    photo = files.photo_jpeg(64, 48, gps=True)

    result = await made("image-converter", Given(photo), output_format="tiff", strip_metadata=False)

    assert result.notes == ("The EXIF was left out: a TIFF written here has none.",)


async def test_colours_of_another_profile_become_srgb() -> None:
    # In this profile red and blue have changed places, so nothing else could undo it.
    swapped = swapped_profile()
    picture = Image.new("RGB", (32, 32), (200, 40, 40))

    png = files.encoded(picture, "PNG", icc_profile=swapped)
    result = await made("image-converter", Given(png, "a.png", "image/png"), output_format="png")

    red, _, blue = result.picture.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert blue > red
    assert "icc_profile" not in result.picture.info


def swapped_profile() -> bytes:
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # The description goes, so that it does not pass for sRGB; the two colours' tags swap names.
    content = content.replace(b"s\0R\0G\0B", b"t\0e\0s\0t").replace(
        b"\0s\0R\0G\0B", b"\0t\0e\0s\0t"
    )
    return bytes(
        content.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    )


async def test_a_profile_that_is_damaged_is_ignored() -> None:
    png = files.encoded(files.photo(64, 48), "PNG", icc_profile=b"not a profile")

    result = await made("image-converter", Given(png, "a.png", "image/png"))

    assert is_upright(result.picture)


async def test_transparency_is_put_on_the_background_that_was_asked_for() -> None:
    png = Given(files.rgba_png(), "logo.png", "image/png")

    result = await made("image-converter", png, output_format="jpeg", background="#0000ff")

    assert near(result.picture.getpixel((5, 20)), (0, 0, 255))
    assert near(result.picture.getpixel((60, 20)), files.GREEN)


async def test_transparency_stays_where_the_format_has_it() -> None:
    result = await made("image-converter", Given(files.rgba_png(), "logo.png", "image/png"))

    assert result.picture.convert("RGBA").getpixel((5, 20))[3] == 0  # type: ignore[index]
    assert result.picture.convert("RGBA").getpixel((60, 20))[3] == 255  # type: ignore[index]


@pytest.mark.parametrize("target", ["jpeg", "webp", "bmp", "gif", "avif"])
async def test_sixteen_bits_are_scaled_and_not_clipped(target: str) -> None:
    result = await made("image-converter", Given(files.sixteen_bit_png()), output_format=target)

    grey = result.picture.convert("L")
    assert near([grey.getpixel((32, 20))], (129,), 12)
    assert near([grey.getpixel((1, 20))], (4,), 12)
    assert near([grey.getpixel((62, 20))], (251,), 12)


@pytest.mark.parametrize("target", ["png", "tiff"])
async def test_sixteen_bits_stay_where_the_format_has_them(target: str) -> None:
    result = await made("image-converter", Given(files.sixteen_bit_png()), output_format=target)

    assert result.picture.mode == "I;16"
    assert result.picture.getextrema() == (0, 65535)


async def test_print_colours_are_converted() -> None:
    result = await made("image-converter", Given(files.cmyk_jpeg(96, 72)), output_format="png")

    assert result.picture.mode == "RGB"
    assert all(near(a, b, 60) for a, b in zip(corners(result.picture), files.CORNERS, strict=True))


async def test_an_animation_keeps_its_frames_and_their_times() -> None:
    result = await made("image-converter", Given(files.animated("GIF", 5, ms=120), "a.gif"))

    picture = result.picture
    assert getattr(picture, "n_frames", 1) == 5
    picture.seek(1)
    picture.load()
    assert picture.info["duration"] == 120
    assert picture.info["loop"] == 0


@pytest.mark.parametrize("target", ["gif", "png", "webp", "avif"])
async def test_a_frame_that_stands_for_days_stands_as_long_as_the_format_lets_it(
    target: str,
) -> None:
    webp = Given(files.animated("WEBP", 3, ms=2**24 - 1), "a.webp", "image/webp")

    result = await made("image-converter", webp, output_format=target)

    assert getattr(result.picture, "n_frames", 1) == 3


async def test_the_first_frame_is_taken_where_that_is_wished_and_said() -> None:
    gif = Given(files.animated("GIF", 5), "a.gif", "image/gif")

    result = await made("image-converter", gif, animation="first")

    assert getattr(result.picture, "n_frames", 1) == 1
    assert result.notes == ("The first of 5 frames was taken.",)


@pytest.mark.parametrize(
    ("kind", "note"),
    [("TIFF", "The first of 2 pages was taken."), ("MPO", "The first of 2 pictures was taken.")],
)
async def test_of_several_pictures_in_a_file_the_first_is_taken_and_said(
    kind: str, note: str
) -> None:
    both = [files.photo(96, 72), Image.new("RGB", (96, 72))]
    file = files.encoded(both[0], kind, save_all=True, append_images=both[1:])

    result = await made("image-converter", Given(file), output_format="png")

    assert is_upright(result.picture)
    assert result.notes == (note,)


async def test_of_an_icon_with_many_sizes_the_largest_is_taken() -> None:
    icon = files.encoded(files.photo(64, 64), "ICO", sizes=[(16, 16), (64, 64), (32, 32)])

    result = await made("image-converter", Given(icon, "a.ico", "image/x-icon"))

    assert result.picture.size == (64, 64)


async def test_lossless_webp_keeps_every_pixel() -> None:
    png = Given(files.encoded(files.photo(64, 48), "PNG"), "a.png", "image/png")

    result = await made("image-converter", png, lossless=True)

    assert result.picture.convert("RGB").tobytes() == files.photo(64, 48).tobytes()


async def test_quality_changes_the_size() -> None:
    photo = Given(files.photo_jpeg())

    small, large = await made("image-converter", photo, quality=5), await made(
        "image-converter", photo, quality=95
    )

    assert len(small.content) * 3 < len(large.content)


async def test_the_same_picture_gives_the_same_bytes() -> None:
    photo = Given(files.photo_jpeg())

    assert await made("image-converter", photo) == await made("image-converter", photo)


def gif_without_width() -> bytes:
    return files.sparse_gif(0, 7, 1).replace(b",\0\0\0\0\1\0", b",\0\0\0\0\0\0")


BAD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "truncated JPEG": ("CORRUPT_FILE", lambda: files.truncated(files.photo_jpeg())),
    "truncated PNG": ("CORRUPT_FILE", lambda: files.truncated(files.rgba_png())),
    "only a JPEG's head": ("CORRUPT_FILE", lambda: files.photo_jpeg()[:20]),
    "truncated GIF": ("CORRUPT_FILE", lambda: files.truncated(files.animated("GIF", 3))),
    "PNG without pixels": ("CORRUPT_FILE", lambda: files.png_header(100, 100)),
    "GIF of no width": ("CORRUPT_FILE", gif_without_width),
    "huge PNG": ("DIMENSIONS_TOO_LARGE", lambda: files.png_header(100_000, 100_000)),
    "PNG just too large": ("DIMENSIONS_TOO_LARGE", lambda: files.png_header(8_001, 8_001)),
    "text": ("UNSUPPORTED_MEDIA_TYPE", lambda: b"This is a text that is called .jpg.\n"),
    "HTML": ("UNSUPPORTED_MEDIA_TYPE", lambda: b"<html><script>alert(1)</script></html>"),
    "PDF": ("UNSUPPORTED_MEDIA_TYPE", files.simple_pdf),
    "too many frames": ("TOO_MANY_FRAMES", lambda: files.sparse_gif(2, 2, 1_001)),
    "frames too large": ("TOO_MANY_FRAMES", lambda: files.sparse_gif(7_000, 7_000, 3)),
    "nothing": ("EMPTY_FILE", bytes),
}


@pytest.mark.parametrize("bad", list(BAD))
@pytest.mark.parametrize(
    "tool", ["image-converter", "image-resizer", "image-cropper", "image-watermark"]
)
async def test_a_bad_picture_is_refused_by_its_code(tool: str, bad: str) -> None:
    code, content = BAD[bad]

    assert (await refused(tool, Given(content()))).code == code


@pytest.mark.parametrize(
    "tool", ["image-converter", "image-resizer", "image-cropper", "image-watermark"]
)
async def test_pixels_beyond_those_that_a_picture_shows_are_not_read(tool: str) -> None:
    result = await made(tool, Given(files.overfull_png(64, 48), "a.png", "image/png"))

    assert result.picture.size == (64, 48)
    assert near(result.picture.convert("RGB").getpixel((3, 3)), files.GREEN)
    assert len(result.content) < 2_000


async def test_a_type_that_the_tool_does_not_take_is_refused_before_it_is_read() -> None:
    error = await refused("image-converter", Given(files.photo_jpeg(), media_type="text/plain"))

    assert error.code == "UNSUPPORTED_MEDIA_TYPE"


async def test_what_follows_a_picture_in_its_file_does_not_come_along() -> None:
    polyglot = files.photo_jpeg(64, 48) + b"PK\x03\x04 a zip that hides behind"

    result = await made("image-converter", Given(polyglot), output_format="jpeg")

    assert b"hides" not in result.content


async def test_lossless_jpeg_is_refused_by_the_name_of_the_option() -> None:
    error = await refused(
        "image-converter", Given(files.photo_jpeg()), output_format="jpeg", lossless=True
    )

    assert (error.code, error.field) == ("INVALID_OPTIONS", "lossless")


async def test_a_picture_too_wide_for_the_format_is_refused() -> None:
    wide = files.encoded(Image.new("L", (16_384, 2)), "PNG")

    assert (await refused("image-converter", Given(wide))).code == "DIMENSIONS_TOO_LARGE"
    assert (await made("image-converter", Given(wide), output_format="png")).picture.width == 16_384


@pytest.mark.parametrize(
    ("size", "wanted"), [((640, 480), (256, 192)), ((3_000, 2), (256, 1)), ((20, 10), (20, 10))]
)
async def test_an_icon_is_made_small_enough(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    photo = Given(files.photo_jpeg(*size))

    result = await made("image-converter", photo, output_format="ico")

    assert result.picture.size == wanted


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (1_024, 683)),
        ({"width": 300}, (300, 200)),
        ({"height": 300}, (450, 300)),
        ({"width": 300, "height": 300}, (300, 200)),
        ({"width": 300, "height": 300, "fit": "cover"}, (300, 300)),
        ({"width": 300, "height": 300, "fit": "fill"}, (300, 300)),
        ({"width": 3_000}, (1_500, 1_000)),
        ({"width": 3_000, "enlarge": True}, (3_000, 2_000)),
        ({"width": 3_000, "height": 300, "fit": "cover"}, (3_000, 300)),
        ({"width": 1}, (1, 1)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
async def test_a_picture_gets_the_size_that_was_asked_for(
    options: dict[str, Any], size: tuple[int, int], orientation: int
) -> None:
    photo = files.photo_jpeg(1_500, 1_000, orientation=orientation)

    result = await made("image-resizer", Given(photo), **options)

    assert result.picture.size == size
    assert (result.name, result.media_type) == ("photo.jpg", "image/jpeg")


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_resized_photo_is_upright(orientation: int) -> None:
    photo = files.photo_jpeg(1_200, 800, orientation=orientation)

    assert is_upright((await made("image-resizer", Given(photo), width=120)).picture)


async def test_a_resized_animation_keeps_all_frames() -> None:
    gif = Given(files.animated("GIF", 4, 100, 50), "a.gif", "image/gif")

    result = await made("image-resizer", gif, width=50)

    assert (result.picture.size, getattr(result.picture, "n_frames", 1)) == ((50, 25), 4)
    assert result.name == "a.gif"


async def test_a_size_that_is_too_large_is_refused() -> None:
    options = {"width": 16_000, "height": 16_000, "fit": "fill"}

    error = await refused("image-resizer", Given(files.photo_jpeg(16, 16)), **options)

    assert error.code == "DIMENSIONS_TOO_LARGE"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"width": 0}, "width"),
        ({"width": "wide"}, "width"),
        ({"fit": "squeeze"}, "fit"),
        ({"quality": 101}, "quality"),
        ({"background": "red"}, "background"),
        ({"colour": "red"}, "colour"),
        ({"output_format": "psd"}, "output_format"),
    ],
)
async def test_a_bad_option_is_named(options: dict[str, Any], field: str) -> None:
    error = await refused("image-resizer", Given(files.photo_jpeg(16, 16)), **options)

    assert (error.code, error.field) == ("INVALID_OPTIONS", field)


async def test_a_damaged_file_is_never_shown_in_part(tmp_path: Path) -> None:
    whole = files.photo_jpeg(320, 240)

    for kept in range(5, 100, 5):
        error = await refused("image-converter", Given(files.truncated(whole, kept / 100)))
        assert error.code == "CORRUPT_FILE"
