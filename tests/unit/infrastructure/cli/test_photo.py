"""The demo's photo is what cameras make: lying on its side, and telling where it was taken."""

import io

from PIL import Image, ImageOps

from infrastructure.cli.photo import GPS_TAG, ORIENTATION_TAG, photo


def test_the_photo_lies_on_its_side_and_its_exif_says_so() -> None:
    with Image.open(io.BytesIO(photo())) as picture:
        assert picture.format == "JPEG"
        assert picture.height > picture.width
        assert picture.getexif()[ORIENTATION_TAG] == 6
        upright = ImageOps.exif_transpose(picture)

    assert upright.width > upright.height
    top, bottom = upright.getpixel((5, 5)), upright.getpixel((5, upright.height - 5))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert sum(top) > sum(bottom), "the sky is above the hills"


def test_the_photo_carries_a_position() -> None:
    with Image.open(io.BytesIO(photo())) as picture:
        position = picture.getexif().get_ifd(GPS_TAG)

    assert position[1] == "N"


def test_the_photo_is_the_same_size_of_work_each_time() -> None:
    assert 500_000 < len(photo()) < 5_000_000
