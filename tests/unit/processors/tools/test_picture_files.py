"""The tools that change the file and not the picture: metadata-stripper and image-optimizer."""

import io
import struct
import zlib
from typing import Any

import pikepdf
import pytest
from PIL import Image, PngImagePlugin

from processors.tools import picture_optimizing
from processors.tools.base import ToolProcessingError
from processors.tools.extras import is_installed
from processors.tools.picture_parts import BARE, PNG_MARK, _png_chunk
from processors.tools.png_pixels import Chunk, shown_bytes, without_surplus
from tests.factories import files
from tests.unit.processors.tools.readers import (
    NEEDS_POPPLER,
    NEEDS_WEBP,
    dwebp,
    lines,
    opencv,
    pdf,
    pdfinfo,
    png,
    rendered,
)
from tests.unit.processors.tools.workbench import Given, Made, made, refused

NEEDS_IMAGES = pytest.mark.skipif(
    not is_installed("oxipng"), reason="the extra images is not there"
)
NEEDS_HEIF = pytest.mark.skipif(
    not is_installed("pillow_heif"), reason="the extra heif is not there"
)
SECRET = "Somewhere in Munich"
XMP = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()
PROFILE = b"ICC " * 100


def telling_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[files.EXIF_ORIENTATION], exif[files.EXIF_MODEL] = orientation, SECRET
    exif[files.EXIF_GPS] = {1: "N", 2: (48.0, 8.0, 6.0)}
    return exif.tobytes()


def telling_jpeg(orientation: int = 1, **options: Any) -> bytes:
    photo = Image.open(io.BytesIO(files.photo_jpeg(320, 240, orientation=orientation)))
    photo.load()
    return files.encoded(
        photo.copy(),
        "JPEG",
        exif=telling_exif(orientation),
        comment=SECRET.encode(),
        xmp=XMP,
        icc_profile=PROFILE,
        quality=90,
        **options,
    )


def telling_png(orientation: int = 1) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET)
    text.add_itxt("Author", SECRET, zip=True)
    return files.encoded(
        files.photo(96, 72),
        "PNG",
        pnginfo=text,
        exif=telling_exif(orientation),
        icc_profile=PROFILE,
    )


def telling_webp(orientation: int = 1, lossless: bool = True) -> bytes:
    return files.encoded(
        files.photo(96, 72),
        "WEBP",
        exif=telling_exif(orientation),
        xmp=XMP,
        icc_profile=PROFILE,
        lossless=lossless,
    )


def telling_gif() -> bytes:
    return files.encoded(
        files.photo(96, 72).convert("P"),
        "GIF",
        comment=SECRET.encode(),
        save_all=True,
        append_images=[Image.new("P", (96, 72), 3)],
        duration=90,
        loop=2,
    )


def telling_tiff() -> bytes:
    pages = [files.photo(96, 72, "CMYK"), Image.new("CMYK", (96, 72), (9, 99, 9, 0))]
    return files.encoded(
        pages[0],
        "TIFF",
        save_all=True,
        append_images=pages[1:],
        description=SECRET,
        icc_profile=PROFILE,
    )


TELLING: dict[str, Given] = {
    "jpeg": Given(telling_jpeg()),
    "jpeg-progressive": Given(telling_jpeg(progressive=True)),
    "png": png(telling_png()),
    "apng": png(files.animated("PNG")),
    "webp": Given(telling_webp(), "a.webp", "image/webp"),
    "webp-lossy": Given(telling_webp(lossless=False), "a.webp", "image/webp"),
    "webp-animated": Given(files.animated("WEBP"), "a.webp", "image/webp"),
    "gif": Given(telling_gif(), "a.gif", "image/gif"),
    "tiff": Given(telling_tiff(), "a.tiff", "image/tiff"),
}


def frames(content: bytes) -> list[Any]:
    """The pixels of all frames, and how long each stands."""
    seen = []
    with Image.open(io.BytesIO(content)) as picture:
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            picture.load()
            seen.append((picture.mode, picture.tobytes(), picture.info.get("duration")))
    return seen


def in_colours(content: bytes) -> list[Any]:
    """The same whatever way the pixels are stored."""
    seen = []
    with Image.open(io.BytesIO(content)) as picture:
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            seen.append((picture.convert("RGBA").tobytes(), picture.info.get("duration")))
    return seen


def tells(content: bytes) -> bool:
    return SECRET.encode() in content or b"GPS" in content or b"Exif" in content


@pytest.mark.parametrize("kind", list(TELLING))
async def test_what_a_picture_tells_goes_and_what_it_shows_stays(kind: str) -> None:
    given = TELLING[kind]

    result = await made("metadata-stripper", given)

    assert (result.name.rpartition(".")[0], result.notes) == (
        given.filename.rpartition(".")[0],
        ("It was encoded anew.",) if kind == "tiff" else (),
    )
    assert frames(result.content) == frames(given.content)
    assert not tells(result.content)
    with Image.open(io.BytesIO(given.content)) as before:
        assert result.picture.info.get("icc_profile") == before.info.get("icc_profile")
        assert result.picture.info.get("loop") == before.info.get("loop")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff"])
async def test_the_profile_goes_where_that_is_wished(kind: str) -> None:
    result = await made("metadata-stripper", TELLING[kind], keep_profile=False)

    assert PROFILE not in result.content
    assert "icc_profile" not in result.picture.info


TURNED: dict[str, Given] = {
    "jpeg": Given(telling_jpeg(6)),
    "png": png(telling_png(6)),
    "webp": Given(telling_webp(6), "a.webp", "image/webp"),
}


@pytest.mark.parametrize("kind", list(TURNED))
async def test_a_photo_that_is_stored_turned_is_turned_upright(kind: str) -> None:
    result = await made("metadata-stripper", TURNED[kind])

    before = Image.open(io.BytesIO(TURNED[kind].content))
    assert result.picture.size == (before.height, before.width)
    assert result.picture.getexif().get(files.EXIF_ORIENTATION) is None
    assert result.notes == ("It was encoded anew.",)
    assert not tells(result.content)
    assert result.picture.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("kind", list(TURNED))
async def test_the_note_which_way_is_up_may_stay_alone(kind: str) -> None:
    given = TURNED[kind]

    result = await made("metadata-stripper", given, orientation="keep")

    assert frames(result.content) == frames(given.content)
    assert dict(result.picture.getexif()) == {files.EXIF_ORIENTATION: 6}
    assert SECRET.encode() not in result.content


async def test_turning_a_jpeg_hardly_costs_anything() -> None:
    given = Given(telling_jpeg(6))

    result = await made("metadata-stripper", given)

    upright = files.photo(320, 240)
    seen = result.picture.convert("RGB")
    for point in ((5, 5), (310, 5), (5, 230), (310, 230), (160, 120)):
        assert seen.getpixel(point) == pytest.approx(upright.getpixel(point), abs=20)


async def test_pictures_behind_the_first_go_aloud() -> None:
    views = [files.photo(96, 72), Image.new("RGB", (96, 72), (1, 2, 3))]
    mpo = files.encoded(views[0], "MPO", save_all=True, append_images=views[1:])

    result = await made("metadata-stripper", Given(mpo))

    assert result.picture.format == "JPEG"
    assert result.notes == ("The first of 2 pictures in the file was kept.",)
    assert len(result.content) < len(mpo) - 500


@pytest.mark.parametrize(
    ("given", "tail"), [(Given(telling_jpeg()), b"PK\x03\x04 hidden"), (TELLING["png"], b"hidden")]
)
async def test_what_hides_behind_a_picture_goes(given: Given, tail: bytes) -> None:
    polyglot = Given(given.content + tail, given.filename, given.media_type)

    assert b"hidden" not in (await made("metadata-stripper", polyglot)).content


async def test_an_avif_is_stripped_too() -> None:
    avif = files.encoded(files.photo(96, 72), "AVIF", exif=telling_exif(), xmp=XMP)

    result = await made("metadata-stripper", Given(avif, "a.avif", "image/avif"))

    assert not tells(result.content)
    assert result.picture.size == (96, 72)


@NEEDS_HEIF
async def test_a_photo_of_a_telephone_is_stripped_too() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(files.photo(96, 72)).save(stream, exif=telling_exif())

    result = await made("metadata-stripper", Given(stream.getvalue(), "a.heic", "image/heic"))

    assert not tells(result.content)
    assert (result.media_type, result.picture.size) == ("image/heic", (96, 72))


def telling_pdf() -> bytes:
    stream = io.BytesIO()
    with pikepdf.open(io.BytesIO(files.simple_pdf("Page {page}", 2))) as document:
        with document.open_metadata() as metadata:
            metadata["dc:creator"] = [SECRET]
        document.docinfo["/Author"] = SECRET
        page = document.pages[0]
        page.PieceInfo = pikepdf.Dictionary(Secret=SECRET)
        page.Resources.XObject = pikepdf.Dictionary(
            Im0=document.make_stream(
                telling_jpeg(),
                Type=pikepdf.Name.XObject,
                Subtype=pikepdf.Name.Image,
                Filter=pikepdf.Name.DCTDecode,
                Width=320,
                Height=240,
                ColorSpace=pikepdf.Name.DeviceRGB,
                BitsPerComponent=8,
            )
        )
        page.contents_add(b"q 90 0 0 60 200 10 cm /Im0 Do Q")
        document.save(stream, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return stream.getvalue()


async def test_a_document_loses_its_author_and_its_pictures_their_place() -> None:
    document = telling_pdf()
    assert tells(document)

    result = await made("metadata-stripper", pdf(document))

    assert lines(result) == ["Page 1", "Page 2"]
    assert rendered(result).tobytes() == rendered(Made("", "", document, ())).tobytes()
    with pikepdf.open(io.BytesIO(result.content)) as reader:
        raw = b"".join(
            thing.read_raw_bytes() if isinstance(thing, pikepdf.Stream) else thing.unparse()
            for thing in reader.objects
        )
        assert "/Metadata" not in reader.Root
        assert not tells(raw)


@NEEDS_POPPLER
async def test_poppler_finds_no_author() -> None:
    assert "Author" in pdfinfo(telling_pdf())
    assert "Author" not in pdfinfo((await made("metadata-stripper", pdf(telling_pdf()))).content)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
async def test_opencv_sees_the_same_pixels_in_a_stripped_picture(kind: str) -> None:
    result = await made("metadata-stripper", TELLING[kind])

    assert (opencv(result.content) == opencv(TELLING[kind].content)).all()


@NEEDS_WEBP
@pytest.mark.parametrize("kind", ["webp", "webp-lossy"])
async def test_libwebp_sees_the_same_pixels_in_a_stripped_picture(kind: str) -> None:
    result = await made("metadata-stripper", TELLING[kind])

    assert dwebp(result.content).tobytes() == dwebp(TELLING[kind].content).tobytes()


OPTIMIZED = [kind for kind in TELLING if kind != "tiff"]


@NEEDS_IMAGES
@pytest.mark.parametrize("kind", OPTIMIZED)
@pytest.mark.parametrize("strip", [True, False])
async def test_a_picture_becomes_smaller_and_stays_the_same(kind: str, strip: bool) -> None:
    given = TELLING[kind]

    result = await made("image-optimizer", given, strip_metadata=strip)

    assert len(result.content) <= len(given.content)
    assert in_colours(result.content) == in_colours(given.content)
    assert result.media_type == given.media_type
    assert result.picture.info.get("icc_profile") == (
        Image.open(io.BytesIO(given.content)).info.get("icc_profile")
    )
    if strip:
        assert not tells(result.content)


@NEEDS_IMAGES
@pytest.mark.parametrize("kind", ["jpeg", "png"])
async def test_opencv_sees_the_same_pixels_in_an_optimised_picture(kind: str) -> None:
    result = await made("image-optimizer", TELLING[kind])

    assert len(result.content) < len(TELLING[kind].content)
    assert (opencv(result.content) == opencv(TELLING[kind].content)).all()


@NEEDS_IMAGES
@NEEDS_WEBP
async def test_libwebp_sees_the_same_pixels_in_an_optimised_picture() -> None:
    given = TELLING["webp"]

    result = await made("image-optimizer", given)

    assert dwebp(result.content).tobytes() == dwebp(given.content).tobytes()


@NEEDS_IMAGES
@pytest.mark.parametrize("kind", list(TURNED))
async def test_an_optimised_photo_is_still_upright(kind: str) -> None:
    result = await made("image-optimizer", TURNED[kind])

    assert dict(result.picture.getexif()) == {files.EXIF_ORIENTATION: 6}


@NEEDS_IMAGES
@pytest.mark.parametrize("kind", OPTIMIZED)
async def test_what_is_optimised_cannot_become_larger_or_other(kind: str) -> None:
    given = TELLING[kind]
    once = await made("image-optimizer", given)
    twice = await made("image-optimizer", Given(once.content, given.filename, given.media_type))

    assert len(twice.content) <= len(once.content)
    if twice.content == once.content:
        assert twice.notes == ("It cannot be made smaller this way; it is as it was.",)


@NEEDS_IMAGES
async def test_an_optimiser_that_changes_a_pixel_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny = files.encoded(Image.new("RGB", (96, 72)), "PNG")
    monkeypatch.setattr(picture_optimizing.oxipng, "optimize_from_memory", lambda *_, **__: tiny)

    result = await made("image-optimizer", TELLING["png"], strip_metadata=False)

    assert result.content == TELLING["png"].content


@NEEDS_IMAGES
async def test_sixteen_bits_survive_an_optimisation() -> None:
    grey = Image.open(io.BytesIO(files.sixteen_bit_png(200, 100)))
    given = png(files.encoded(grey, "PNG", compress_level=0))

    result = await made("image-optimizer", given)

    assert len(result.content) < len(given.content)
    assert (opencv(result.content) == opencv(given.content)).all()


@NEEDS_IMAGES
@pytest.mark.parametrize("kind", ["jpeg", "webp-lossy"])
async def test_a_quality_makes_a_picture_smaller_still(kind: str) -> None:
    lossless = await made("image-optimizer", TELLING[kind])

    result = await made("image-optimizer", TELLING[kind], quality=20)

    assert len(result.content) < len(lossless.content)


@NEEDS_IMAGES
async def test_a_png_has_no_quality() -> None:
    error = await refused("image-optimizer", TELLING["png"], quality=50)

    assert (error.code, error.field) == ("INVALID_OPTIONS", "quality")


BAD: dict[str, tuple[str, Given]] = {
    "truncated JPEG": ("CORRUPT_FILE", Given(files.truncated(telling_jpeg()))),
    "truncated PNG": ("CORRUPT_FILE", png(files.truncated(telling_png()))),
    "truncated WebP": (
        "CORRUPT_FILE",
        Given(files.truncated(telling_webp()), "a.webp", "image/webp"),
    ),
    "truncated GIF": ("CORRUPT_FILE", Given(files.truncated(telling_gif()), "a.gif", "image/gif")),
    "huge PNG": ("DIMENSIONS_TOO_LARGE", png(files.png_header(100_000, 100_000))),
    "too many frames": (
        "TOO_MANY_FRAMES",
        Given(files.sparse_gif(2, 2, 10_000), "a.gif", "image/gif"),
    ),
    "a text": ("UNSUPPORTED_MEDIA_TYPE", png(b"<html><script>alert(1)</script></html>")),
    "nothing": ("EMPTY_FILE", png(b"")),
}


@pytest.mark.parametrize("bad", list(BAD))
@pytest.mark.parametrize(
    "tool", ["metadata-stripper", pytest.param("image-optimizer", marks=NEEDS_IMAGES)]
)
async def test_a_bad_picture_is_refused_by_its_code(tool: str, bad: str) -> None:
    code, given = BAD[bad]

    assert (await refused(tool, given)).code == code


@pytest.mark.parametrize("head", [b"zTXtComment\0\0", b"iCCPsRGB\0\0"], ids=["text", "profile"])
async def test_a_bomb_beside_the_pixels_of_a_picture_does_not_go_off(head: bytes) -> None:
    chunk = head + zlib.compress(bytes(200 * 1024**2), 9)
    body = files.encoded(files.photo(32, 24), "PNG")
    length = (len(chunk) - 4).to_bytes(4, "big")
    bomb = body[:33] + length + chunk + zlib.crc32(chunk).to_bytes(4, "big") + body[33:]

    error = await refused("metadata-stripper", png(bomb))

    assert error.code == "CORRUPT_FILE"


@pytest.mark.parametrize(
    "tool", ["metadata-stripper", pytest.param("image-optimizer", marks=NEEDS_IMAGES)]
)
async def test_what_is_packed_behind_the_pixels_of_a_picture_goes(tool: str) -> None:
    result = await made(tool, png(files.overfull_png(12, 10)))

    pixels = opencv(result.content)
    assert len(result.content) < 200
    assert pixels.shape[:2] == (10, 12)
    assert (pixels == files.GREEN[::-1]).all()


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 9), (33, 17)])
def test_what_pixels_unpack_to_is_known(size: tuple[int, int], depth: int, interlace: int) -> None:
    header = struct.pack(">IIBBBBB", *size, depth, 0, 0, 0, interlace)
    pixels = bytes(shown_bytes(header))

    def chunks(more: bytes = b"", behind: bytes = b"") -> list[Chunk]:
        return [(b"IHDR", header), (b"IDAT", zlib.compress(pixels + more) + behind)]

    encoded = b"".join(_png_chunk(*chunk) for chunk in [*chunks(), (b"IEND", b"")])
    assert opencv(PNG_MARK + encoded).shape[:2] == size[::-1]
    for telling in (chunks(), chunks(b"\0"), chunks(behind=b"\0"), chunks(b"\0" * 2**21)):
        assert without_surplus(telling) == chunks()


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif"])
def test_any_cut_of_a_file_is_taken_apart_or_refused(kind: str) -> None:
    content = TELLING[kind].content
    encoder = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF"}[kind]

    refusals = 0
    for end in range(20, len(content), max(1, len(content) // 200)):
        try:
            assert len(BARE[encoder](content[:end], 1, profile=True)) <= end + 20
        except (ToolProcessingError, IndexError, struct.error):
            # `parsing` turns the latter two into CORRUPT_FILE.
            refusals += 1
    assert refusals > 0 or kind == "webp"


def test_a_library_that_ends_its_process_ends_one_of_its_own() -> None:
    with pytest.raises(ValueError, match="mozjpeg ended with 1"):
        picture_optimizing._transcoded(b"\xff\xd8 and no picture")
