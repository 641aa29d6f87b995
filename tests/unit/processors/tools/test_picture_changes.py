"""The tools that cut and mark pictures, and those for HEIC."""

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat

from processors.tools import extras, picture_stamping
from processors.tools.extras import is_installed
from processors.tools.programs import FFMPEG, path_of
from tests.factories import files
from tests.unit.processors.tools.readers import NEEDS_WEBP, dwebp, opencv, png, told
from tests.unit.processors.tools.workbench import Given, made, refused

NEEDS_HEIF = pytest.mark.skipif(
    not is_installed("pillow_heif"), reason="the extra heif is not there"
)
PHOTO = Given(files.photo_jpeg(320, 240))
GREY = (120, 120, 120)


def framed(
    frame: Any = GREY, mode: str = "RGB", inner: tuple[int, ...] = (20, 10, 79, 69)
) -> bytes:
    """A red box on a ground of 120 × 100."""
    picture = Image.new(mode, (120, 100), frame)
    ImageDraw.Draw(picture).rectangle(inner, fill=files.RED)
    return files.encoded(picture, "PNG")


def blank(width: int = 400, height: int = 300, mode: str = "RGB", colour: Any = GREY) -> Given:
    return png(files.encoded(Image.new(mode, (width, height), colour), "PNG"))


def box_of_changes(marked: Image.Image, ground: Any = GREY) -> tuple[int, int, int, int]:
    plain = marked.convert("RGB")
    box = Image.eval(_difference(plain, ground), lambda level: 255 if level > 4 else 0).getbbox()
    assert box is not None
    return box


def _difference(picture: Image.Image, ground: Any) -> Image.Image:
    return ImageChops.difference(picture, Image.new("RGB", picture.size, ground)).convert("L")


async def test_a_picture_alone_loses_its_border() -> None:
    result = await made("image-cropper", png(framed()))

    assert (result.name, result.media_type) == ("a.png", "image/png")
    assert result.picture.size == (60, 60)
    assert result.picture.getextrema() == tuple((level, level) for level in files.RED)


async def test_a_transparent_border_is_trimmed_whatever_its_colour() -> None:
    picture = Image.new("RGBA", (120, 100), (255, 0, 0, 0))
    ImageDraw.Draw(picture).rectangle((60, 0, 119, 99), fill=(0, 255, 0, 0))
    ImageDraw.Draw(picture).rectangle((30, 30, 49, 69), fill=(*files.GREEN, 255))

    result = await made("image-cropper", png(files.encoded(picture, "PNG")))

    assert result.picture.size == (20, 40)


@pytest.mark.parametrize(("tolerance", "size"), [(0, (96, 72)), (40, (48, 36))])
async def test_a_border_of_a_jpeg_is_not_quite_of_one_colour(
    tolerance: int, size: tuple[int, int]
) -> None:
    picture = Image.new("RGB", (96, 72), (200, 200, 200))
    ImageDraw.Draw(picture).rectangle((0, 71, 95, 71), fill=(190, 195, 190))
    ImageDraw.Draw(picture).rectangle((95, 0, 95, 71), fill=(190, 195, 190))
    ImageDraw.Draw(picture).rectangle((24, 18, 71, 53), fill=files.BLUE)

    trimmed = await made(
        "image-cropper", png(files.encoded(picture, "PNG")), trim=True, tolerance=tolerance
    )

    assert trimmed.picture.size == size


async def test_a_picture_without_a_border_stays_whole_and_that_is_said() -> None:
    result = await made("image-cropper", blank())

    assert result.picture.size == (400, 300)
    assert result.notes == ("There is no border of one colour to trim.",)


@pytest.mark.parametrize(
    ("options", "box"),
    [
        ({"width": 100, "height": 50, "left": 10, "top": 20}, (10, 20, 110, 70)),
        ({"left": 300, "top": 200}, (300, 200, 320, 240)),
        ({"width": 100, "height": 40}, (110, 100, 210, 140)),
        ({"width": 100, "height": 40, "position": "bottom-right"}, (220, 200, 320, 240)),
        ({"width": 100, "position": "left"}, (0, 0, 100, 240)),
        ({"aspect": "1:1"}, (40, 0, 280, 240)),
        ({"aspect": "1:1", "position": "right"}, (80, 0, 320, 240)),
        ({"aspect": "16:9"}, (0, 30, 320, 210)),
        ({"aspect": "1:99999", "position": "top-left"}, (0, 0, 1, 240)),
        ({"width": 200, "height": 200, "left": 0, "top": 0, "aspect": "2:1"}, (0, 50, 200, 150)),
    ],
)
async def test_a_box_or_a_shape_is_cut_out(
    options: dict[str, Any], box: tuple[int, int, int, int]
) -> None:
    whole = files.photo(320, 240)

    result = await made("image-cropper", png(files.encoded(whole, "PNG")), **options)

    assert result.picture.convert("RGB").tobytes() == whole.crop(box).tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_what_is_cut_out_lies_there_in_the_upright_photo(orientation: int) -> None:
    photo = Given(files.photo_jpeg(320, 240, orientation=orientation, quality=95))

    result = await made("image-cropper", photo, width=30, height=20, left=0, top=0)

    assert result.picture.size == (30, 20)
    assert result.picture.getpixel((15, 10)) == pytest.approx(files.RED, abs=12)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"left": 320}, "left"),
        ({"width": 321}, "width"),
        ({"width": 300, "left": 21}, "width"),
        ({"height": 241}, "height"),
        ({"top": 240}, "top"),
        ({"aspect": "0:1"}, "aspect"),
        ({"aspect": "wide"}, "aspect"),
    ],
)
async def test_a_box_outside_of_the_picture_is_refused(options: dict[str, Any], field: str) -> None:
    error = await refused("image-cropper", PHOTO, **options)

    assert (error.code, error.field) == ("INVALID_OPTIONS", field)


async def test_an_animation_is_trimmed_to_what_any_frame_needs() -> None:
    frames = [Image.open(io.BytesIO(framed())), Image.open(io.BytesIO(framed(inner=(5, 5, 9, 9))))]
    gif = files.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=70)

    result = await made("image-cropper", Given(gif, "a.gif", "image/gif"))

    assert result.picture.size == (75, 65)
    assert getattr(result.picture, "n_frames", 1) == 2


async def test_sixteen_bits_stay_when_a_picture_is_cut() -> None:
    result = await made("image-cropper", png(files.sixteen_bit_png()), width=10, left=0)

    assert (result.picture.mode, result.picture.size) == ("I;16", (10, 48))


@NEEDS_WEBP
async def test_a_cropped_webp_is_one_for_libwebp_too() -> None:
    result = await made("image-cropper", PHOTO, width=64, height=48, output_format="webp")

    assert dwebp(result.content).size == (64, 48)


async def test_a_photo_alone_gets_a_watermark_at_its_foot() -> None:
    result = await made("image-watermark", blank())

    left, top, right, bottom = box_of_changes(result.picture)
    assert right - left == pytest.approx(100, abs=8)
    assert (right, bottom) == (pytest.approx(394, abs=5), pytest.approx(294, abs=5))
    assert (left, top) > (280, 250)


@pytest.mark.parametrize("position", ["top-left", "middle", "bottom", "right"])
async def test_a_watermark_lies_where_it_is_wished(position: str) -> None:
    result = await made("image-watermark", blank(), position=position, margin=0)

    left, top, right, bottom = box_of_changes(result.picture)
    middle = (left + right) / 2, (top + bottom) / 2
    assert (middle[0] < 100) is ("left" in position)
    assert (middle[0] > 300) is ("right" in position)
    assert (middle[1] < 100) is ("top" in position)
    assert (middle[1] > 200) is ("bottom" in position)


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (255, 255, 0)])
@pytest.mark.parametrize("colour", ["#ffffff", "#000000", "#ffff00"])
async def test_a_text_can_be_read_on_any_ground(ground: tuple[int, ...], colour: str) -> None:
    result = await made("image-watermark", blank(colour=ground), colour=colour, opacity=100)

    extrema = result.picture.convert("RGB").crop(box_of_changes(result.picture, ground))
    assert any(high - low > 150 for low, high in extrema.getextrema())  # type: ignore[misc]


async def test_opacity_lets_the_ground_show_through() -> None:
    logo = png(files.encoded(Image.new("RGB", (50, 50), (255, 0, 0)), "PNG"))

    faint = await made("image-watermark", blank(colour=(0, 0, 0)), logo, opacity=20, position="top")
    solid = await made(
        "image-watermark", blank(colour=(0, 0, 0)), logo, opacity=100, position="top"
    )

    assert faint.picture.getpixel((200, 20)) == pytest.approx((51, 0, 0), abs=2)
    assert solid.picture.getpixel((200, 20)) == (255, 0, 0)


async def test_a_second_picture_is_the_watermark_and_keeps_its_shape_and_its_holes() -> None:
    logo = png(files.rgba_png(64, 32), "logo.png")

    result = await made(
        "image-watermark", blank(), logo, size=50, opacity=100, position="top-left", margin=0
    )

    # The left half of the logo is transparent.
    assert box_of_changes(result.picture) == pytest.approx((100, 0, 200, 100), abs=2)
    assert result.picture.getpixel((150, 50)) == pytest.approx(files.GREEN, abs=2)


async def test_a_tall_watermark_stays_within_the_picture() -> None:
    logo = png(files.encoded(Image.new("RGB", (10, 400), (255, 0, 0)), "PNG"))

    result = await made("image-watermark", blank(), logo, size=100, margin=0, position="middle")

    left, top, right, bottom = box_of_changes(result.picture)
    assert (top, bottom) == (0, 300)
    assert right - left == pytest.approx(8, abs=1)


async def test_a_watermark_is_repeated_all_over_the_picture() -> None:
    result = await made("image-watermark", blank(), tile=True, size=20, angle=30)

    for left, top in ((0, 0), (200, 0), (0, 150), (200, 150)):
        corner = result.picture.convert("RGB").crop((left, top, left + 200, top + 150))
        assert box_of_changes(corner)


async def test_too_many_watermarks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_stamping, "STAMPS_MAX", 100)

    error = await refused("image-watermark", blank(), tile=True, size=1, margin=0)

    assert (error.code, error.field) == ("INVALID_OPTIONS", "size")


async def test_letters_that_no_font_has_are_refused_by_name() -> None:
    error = await refused("image-watermark", blank(), text="ok \U0010fffd")

    assert (error.code, error.field) == ("INVALID_OPTIONS", "text")
    assert "\U0010fffd" in error.message
    assert "ok" not in error.message


async def test_transparency_and_frames_survive_a_watermark() -> None:
    clear = await made("image-watermark", blank(mode="RGBA", colour=(0, 0, 0, 0)), position="left")
    moving = await made(
        "image-watermark", Given(files.animated("GIF", 4, 200, 100), "a.gif", "image/gif")
    )

    assert clear.picture.mode == "RGBA"
    assert clear.picture.getpixel((399, 0)) == (0, 0, 0, 0)
    assert getattr(moving.picture, "n_frames", 1) == 4


async def test_sixteen_bits_are_lost_aloud() -> None:
    result = await made("image-watermark", png(files.sixteen_bit_png()))

    assert result.notes == ("It had 16 bits a pixel and has 8 now.",)


@pytest.mark.parametrize(
    ("tool", "options"), [("image-cropper", {"width": 50, "left": 0}), ("image-watermark", {})]
)
@pytest.mark.parametrize("target", ["jpeg", "png", "webp"])
async def test_opencv_sees_what_pillow_wrote(
    tool: str, options: dict[str, Any], target: str
) -> None:
    result = await made(tool, PHOTO, output_format=target, **options)

    pixels = opencv(result.content)
    assert pixels.shape[:2] == (result.picture.height, result.picture.width)
    blue, green, red = (int(level) for level in pixels[5, 5][:3])
    assert (red, green, blue) == pytest.approx(files.RED, abs=24)


def heic(**options: Any) -> Given:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[files.EXIF_MODEL] = files.CAMERA
    pillow_heif.from_pillow(files.photo(320, 240)).save(
        stream, quality=90, exif=exif.tobytes(), **options
    )
    return Given(stream.getvalue(), "IMG_0001.HEIC", "image/heic")


@NEEDS_HEIF
@pytest.mark.parametrize("tool", ["heic-converter", "image-converter"])
async def test_a_photo_of_a_telephone_becomes_a_jpeg_without_its_camera(tool: str) -> None:
    result = await made(tool, heic(), output_format="jpeg")

    assert (result.name, result.media_type) == ("IMG_0001.jpg", "image/jpeg")
    assert files.CAMERA.encode() not in result.content
    pixels = opencv(result.content)
    assert pixels.shape == (240, 320, 3)


@NEEDS_HEIF
async def test_a_photo_becomes_a_heic_and_comes_back() -> None:
    there = await made("heic-converter", PHOTO, output_format="heic")
    back = await made("heic-converter", Given(there.content, there.name, there.media_type))

    assert (there.name, there.media_type) == ("photo.heic", "image/heic")
    assert (back.name, back.picture.size) == ("photo.jpg", (320, 240))
    assert back.picture.getpixel((5, 5)) == pytest.approx(files.RED, abs=24)


@NEEDS_HEIF
@pytest.mark.skipif(path_of(FFMPEG) is None, reason="the extra media is not installed")
async def test_ffmpeg_sees_a_heic_too() -> None:
    result = await made("heic-converter", Given(files.photo_jpeg(320, 240)), output_format="heic")

    command = [str(path_of(FFMPEG)), "-v", "error", "-i", "{}", "-frames:v", "1"]
    content = told([*command, "-f", "image2pipe", "-c:v", "png", "-"], result.content)
    seen = Image.open(io.BytesIO(content)).convert("RGB")
    assert ImageStat.Stat(ImageChops.difference(seen, files.photo(320, 240))).mean[0] < 12


@NEEDS_HEIF
async def test_a_heic_keeps_its_format_when_it_is_resized() -> None:
    result = await made("image-resizer", heic(), width=100)

    assert (result.media_type, result.picture.size) == ("image/heic", (100, 75))


@NEEDS_HEIF
async def test_a_heic_that_is_cut_short_is_damaged() -> None:
    whole = heic().content

    for kept in (0.1, 0.5, 0.9):
        short = Given(files.truncated(whole, kept), "a.heic", "image/heic")
        assert (await refused("image-converter", short)).code == "CORRUPT_FILE"


@NEEDS_HEIF
async def test_without_its_extra_heic_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = heic()
    monkeypatch.setattr(extras, "is_installed", lambda _: False)
    monkeypatch.setattr("processors.tools.pixels.READERS", ["JPEG", "PNG"])

    reading = await refused("image-converter", photo)
    writing = await refused("image-converter", PHOTO, output_format="heic")

    assert (reading.code, writing.code) == ("NOT_INSTALLED", "NOT_INSTALLED")
    assert writing.field == "output_format"
    assert all("magictoolbox[heif]" in error.message for error in (reading, writing))
