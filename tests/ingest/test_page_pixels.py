"""Drawn pages as pixels: their digest, and what becomes a file of them."""

import hashlib
import io
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.images.line_grid import measure_line_grid
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.region_crops import cut_region
from ingest.choices import Fit, Keep
from ingest.items import (
    Amendment,
    Facts,
    ImageObject,
    ItemOutcome,
    RegionTask,
    SourceItem,
    Status,
    StoredState,
    digest_facts,
)
from ingest.page_pixels import PagePixels, PageRows, reduce_picture
from ingest.prepare import PrepareSettings, prepare
from ingest.preview import PADDED_SIDE, PAGE_SIDE, preview_image
from ingest.region_methods import RegionRecipe, parse_method
from tests.ingest.fakes import MODEL

A4, A3 = (1240, 1754), (2480, 1754)


class CountedPage(PagePixels):
    """A page that counts how often it becomes a file of its full size."""

    encoded: list[int]

    def encode(self) -> bytes:
        self.encoded.append(1)
        return super().encode()


def rgbx(picture: Image.Image) -> PageRows:
    """(H, 4 W), with 255 as X."""
    return np.asarray(picture.convert("RGBA")).reshape(picture.height, -1)


def page(picture: Image.Image) -> PagePixels:
    return PagePixels.build(rgbx(picture), picture.width)


def drawing(size: tuple[int, int] = A4, colour: str = "black") -> Image.Image:
    picture = Image.new("RGB", size, "white")
    for box in (
        (90, 90, size[0] - 90, 94),
        (size[0] // 2, size[1] // 2, size[0] - 90, size[1] - 400),
        (200, 500, 500, 520),
    ):
        picture.paste(colour, box)
    return picture


def counted(picture: Image.Image) -> CountedPage:
    plain = page(picture)
    made = CountedPage(plain.rows, plain.mode)
    object.__setattr__(made, "encoded", [])
    return made


def item(pixels: PagePixels, stamp: str = "s", fit: Fit = Fit.PAD) -> SourceItem:
    return SourceItem("x.pdf#page=1", "/plans", stamp, lambda: pixels, lambda _: Facts(), fit)


def made(pixels: PagePixels, settings: PrepareSettings | None = None, fit: Fit = Fit.PAD) -> ImageObject:
    return cast(ImageObject, prepare(item(pixels, fit=fit), None, settings or PrepareSettings()))


def opened(data: bytes | None) -> Image.Image:
    assert data
    return Image.open(io.BytesIO(data))


def stored(sha256: str, stamp: str = "s") -> StoredState:
    return StoredState(sha256, "pad", stamp, digest_facts(Facts()), "/plans", "")


@given(st.binary(min_size=24, max_size=24), st.integers(0, 23))
def test_a_page_is_grey_if_every_pixel_is(levels: bytes, at: int) -> None:
    grey = Image.frombytes("L", (6, 4), levels)
    assert (page(grey).mode, page(grey).rows.tobytes()) == ("L", levels)
    tinted = grey.convert("RGB")
    red, green, blue = cast(tuple[int, int, int], tinted.getpixel((at % 6, at // 6)))
    for other in ((red ^ 1, green, blue), (red, green, blue ^ 128)):
        tinted.putpixel((at % 6, at // 6), other)
        assert page(tinted).mode == "RGBX" and page(tinted).picture.convert("RGB").tobytes() == tinted.tobytes()


def test_a_colour_in_the_last_pixel_of_a_large_page_is_found() -> None:
    picture = drawing(A3)
    picture.putpixel((A3[0] - 1, A3[1] - 1), (255, 255, 254))
    assert page(picture).mode == "RGBX" and page(drawing(A3)).mode == "L"


def test_the_digest_depends_on_every_pixel_and_on_the_shape() -> None:
    plain, turned = Image.new("L", (40, 10), 255), Image.new("L", (10, 40), 255)
    dot = plain.copy()
    dot.putpixel((39, 9), 254)
    digests = [page(each).digest() for each in (plain, turned, dot, plain.copy())]
    assert len(set(digests)) == 3 and digests[0] == digests[3] and len(digests[0]) == 64


def test_the_file_of_a_grey_page_is_that_of_its_colours() -> None:
    out = io.BytesIO()
    drawing().save(out, "JPEG", quality=95, subsampling=0)
    assert page(drawing()).encode() == out.getvalue()


@pytest.mark.parametrize("colour", ["black", "red"])
@pytest.mark.parametrize("regions", [False, True])
def test_no_page_becomes_a_file_of_its_full_size_unless_it_is_embedded_so(colour: str, regions: bool) -> None:
    recipe = RegionRecipe.build(parse_method("corners", 4), MODEL, "") if regions else None
    padded, cropped = counted(drawing(colour=colour)), counted(drawing(colour=colour))
    made(padded, PrepareSettings(regions=recipe))
    assert padded.encoded == []
    assert made(cropped, PrepareSettings(regions=recipe), Fit.CROP).image == page(drawing(colour=colour)).encode()
    assert len(cropped.encoded) == 1


def test_regions_that_the_sidecar_finds_get_the_page_as_one_file() -> None:
    pixels = counted(drawing())
    task = made(pixels, PrepareSettings(regions=RegionRecipe.build(parse_method("objects", 4), MODEL, ""))).regions
    assert isinstance(task, RegionTask) and opened(task.picture).size == A4 and len(pixels.encoded) == 1


@pytest.mark.parametrize(("size", "side"), [(A4, 877), (A3, 827), ((600, 500), 600), ((1025, 8), 513)])
def test_what_is_embedded_of_a_page_is_a_white_square_of_limited_size(size: tuple[int, int], side: int) -> None:
    square = opened(made(page(drawing(size) if min(size) > 400 else Image.new("L", size))).image)
    assert square.size == (side, side) and side <= PAGE_SIDE and square.mode == "L"
    assert square.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_page_that_is_stored_keeps_its_size_and_colours_stay() -> None:
    full = preview_image(page(drawing(A3, "red")), Fit.PAD, Keep.FULL, False).image
    small = preview_image(page(drawing(A3, "red")), Fit.PAD, Keep.HASH, False).image
    assert opened(full).size == (PADDED_SIDE, PADDED_SIDE) and opened(full).mode == opened(small).mode == "RGB"
    red, green, _ = cast(tuple[int, int, int], opened(small).getpixel((600, 500)))
    assert red > 240 and green < 20


@pytest.mark.parametrize("colour", ["black", "blue"])
def test_thumbnail_and_hash_are_those_of_the_page_as_a_file(colour: str) -> None:
    pixels = page(drawing(A3, colour))
    ours, file = (preview_image(data, Fit.PAD, Keep.THUMBNAIL, True) for data in (pixels, pixels.encode()))
    assert ours.mime == file.mime and opened(ours.thumbnail).size == opened(file.thumbnail).size
    levels = [np.asarray(opened(each.thumbnail).convert("RGB"), np.int16) for each in (ours, file)]
    assert np.abs(levels[0] - levels[1]).mean() < 1
    assert (int(ours.phash, 16) ^ int(file.phash, 16)).bit_count() <= 2


def test_pages_that_were_read_again_are_unchanged() -> None:
    first = made(page(drawing()))
    again = prepare(item(page(drawing())), stored(first.sha256), PrepareSettings())
    assert isinstance(again, ItemOutcome) and again.status is Status.UNCHANGED
    changed = prepare(item(page(drawing(colour="grey"))), stored(first.sha256), PrepareSettings())
    assert isinstance(changed, ImageObject) and changed.replaces


def test_a_page_stored_with_the_hash_of_its_file_is_known_and_keeps_its_vector() -> None:
    """As earlier versions stored it."""
    older = stored(hashlib.sha256(page(drawing()).encode()).hexdigest())
    outcome = prepare(item(page(drawing())), older, PrepareSettings())
    assert isinstance(outcome, ItemOutcome) and outcome.status is Status.UNCHANGED
    moved = prepare(item(page(drawing()), stamp="new"), older, PrepareSettings())
    assert isinstance(moved, Amendment) and moved.facts is None
    assert isinstance(prepare(item(page(drawing(colour="grey"))), older, PrepareSettings()), ImageObject)


def test_corners_are_those_of_the_page_as_a_file() -> None:
    recipe = RegionRecipe.build(parse_method("corners", 4), MODEL, "")
    task = made(page(drawing(A3)), PrepareSettings(regions=recipe)).regions
    assert isinstance(task, RegionTask) and task.picture == b"" and len(task.crops) == 4
    assert [each.corner for each in task.crops] == ["top-left", "top-right", "bottom-left", "bottom-right"]
    corner = task.crops[3]
    assert corner.box == pytest.approx((0.5, 0.65, 1.0, 1.0))
    crop = decode_image(corner.file).pixels
    assert crop.size == (620, 620)  # 1240 x 614 pixels on a square, each the mean of 2 x 2
    file = decode_image(page(drawing(A3)).encode()).pixels
    of_file = cut_region(file, corner.box).resize((620, 620), Image.Resampling.BOX)
    assert np.abs(np.asarray(crop, np.int16) - np.asarray(of_file, np.int16)).mean() < 1
    assert corner.line_grid == measure_line_grid(file.crop((1240, 1140, *A3))).to_text()


def test_a_picture_is_reduced_by_a_whole_number_and_never_enlarged() -> None:
    assert [reduce_picture(Image.new("L", (side, 10)), 1024).width for side in (10, 1024, 1025, 5000)] == [
        10,
        1024,
        513,
        1000,
    ]
