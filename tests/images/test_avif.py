"""AVIF files mended for libavif, and the description of their light."""

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.avif import mend_avif, mend_property
from clip_vectorizer.images.formats import describe_content, is_avif
from clip_vectorizer.images.iso_boxes import (
    PropertyPlace,
    build_associations,
    build_box,
    read_associations,
    read_references,
    split_boxes,
)
from clip_vectorizer.images.opener import decode_image, make_upright
from tests.images import avif_writer as avif
from tests.images.pictures import picture, write

PICTURE = picture()
PLAIN = write(PICTURE, "AVIF", quality=97, subsampling="4:4:4")


def seen(data: bytes) -> npt.NDArray[np.int16]:
    return np.asarray(decode_image(data).pixels).astype(np.int16)


def test_the_old_description_stays_in_its_place() -> None:
    mended = mend_avif(PLAIN)
    start = PLAIN.index(b"meta")
    assert mended[:start] == PLAIN[:start]
    assert mended[start : start + 4] == b"free"
    assert mended[start + 4 : len(PLAIN)] == PLAIN[start + 4 :]
    np.testing.assert_array_equal(seen(mended), seen(PLAIN))


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x08free", PLAIN[:20]])
def test_a_file_without_a_description_is_not_mended(data: bytes) -> None:
    with pytest.raises(ValueError, match="meta"):
        mend_avif(data)


def test_a_cut_description_raises_nothing_but_a_refusal() -> None:
    two = avif.with_two_lists(PLAIN)
    for end in range(len(two) - 200, len(two) - 1, 7):
        with pytest.raises(ImageRefused):
            decode_image(two[:end])


@pytest.mark.parametrize("items", [{}, {1: [PropertyPlace(True, 3)]}, {7: [PropertyPlace(False, 300)], 70_000: []}])
def test_associations_are_read_as_they_were_written(items: dict[int, list[PropertyPlace]]) -> None:
    assert read_associations(build_associations(items)) == items


def test_references_have_two_or_four_bytes_an_item() -> None:
    narrow = bytes(4) + build_box(b"auxl", b"\0\2\0\2\0\1\0\3")
    wide = b"\1\0\0\0" + build_box(b"auxl", b"\0\0\0\2\0\1\0\0\0\1")
    assert list(read_references(narrow, b"auxl")) == [(2, [1, 3])]
    assert list(read_references(wide, b"auxl")) == [(2, [1])]
    assert list(read_references(wide, b"dimg")) == []


def test_constant_luminance_becomes_what_libavif_converts() -> None:
    body = b"nclx\0\x09\0\x10\0\x0a\x80"
    assert mend_property(b"colr", body) == (b"colr", b"nclx\0\x09\0\x10\0\x09\x80")
    assert mend_property(b"colr", b"prof" + body[4:]) == (b"colr", b"prof" + body[4:])
    decoded = decode_image(avif.with_codes(PLAIN, 9, 13, 10))
    assert decoded.pixels.size == (64, 48)


def test_a_group_that_libavif_refuses_is_dropped() -> None:
    assert np.abs(seen(avif.with_same_group(PLAIN)) - PICTURE).mean() < 2.5
    mended = list(split_boxes(mend_avif(avif.with_same_group(PLAIN))))
    assert [name for name, body in mended if b"pymd" in body] == [b"free"]


CHROMIUM_156 = {  # the grey it shows for level 148 of PQ, by the brightest pixel that the file names
    0: 187,
    300: 240,
    400: 229,
    600: 212,
    2000: 187,
}


def grey_pq(brightest: int) -> bytes:
    grey = np.full((16, 16, 3), 148, np.uint8)
    coded = avif.with_codes(write(grey, "AVIF", quality=100, subsampling="4:4:4"), 9, 16, 6)
    return avif.with_light_level(coded, brightest)


@pytest.mark.parametrize("brightest", CHROMIUM_156)
def test_a_dim_hdr_picture_is_darkened_less(brightest: int) -> None:
    assert np.abs(seen(grey_pq(brightest))[8, 8] - CHROMIUM_156[brightest]).max() <= 1


def test_a_picture_no_brighter_than_white_is_not_darkened() -> None:
    white = seen(grey_pq(203))[8, 8]
    assert white.min() >= 253
    np.testing.assert_array_equal(seen(grey_pq(100))[8, 8], white)


def test_a_matrix_that_follows_from_the_primaries_is_left_as_chromium_leaves_it() -> None:
    decoded = decode_image(avif.with_codes(PLAIN, 12, 16, 12))
    assert "matrix coefficients 12" in decoded.ignored
    assert np.abs(np.asarray(decoded.pixels).astype(np.int16) - PICTURE).mean() < 6


@pytest.mark.parametrize(
    ("brands", "expected"), [(b"avif\0\0\0\0", True), (b"mif1\0\0\0\0avif", True), (b"heic\0\0\0\0mif1", False)]
)
def test_avif_is_known_by_any_of_its_brands(brands: bytes, expected: bool) -> None:
    assert is_avif(build_box(b"ftyp", brands)) == expected


def test_a_minimal_header_is_called_so() -> None:
    assert "minimal header" in describe_content(build_box(b"ftyp", b"mif3avif"))


def test_a_user_image_with_an_orientation_in_xmp_is_not_turned() -> None:
    xmp = b"<tiff:Orientation>6</tiff:Orientation>"
    data = write(PICTURE, "PNG")
    image = Image.open(io.BytesIO(data))
    image.info["xmp"] = xmp
    assert make_upright(image).size == image.size
    assert image.info["xmp"] == xmp
