import numpy as np
import pytest
from PIL import Image, ImageDraw

from clip_vectorizer.images.line_grid import LineGrid, compare_line_grids, measure_line_grid

FORM = ((30, 60, 90), (0, 60, 110, 200))  # mm from the bottom, mm from the right
OTHER = ((12, 44, 72), (0, 35, 150, 170))
THIRD = ((20, 28, 36, 44, 52), (0, 90, 180))


def block(
    form: tuple[tuple[int, ...], tuple[int, ...]] = FORM,
    scale: float = 2.0,
    sheet: tuple[int, int] = (420, 220),
    colours: tuple[int, int] = (255, 0),
    texts: int = 3,
) -> Image.Image:
    """The lower right of a sheet with a frame and a block; `scale`: pixels a mm; `texts`: seed of what is in it."""
    paper, ink = colours
    size = round(sheet[0] * scale), round(sheet[1] * scale)
    picture = Image.new("L", size, paper)
    draw = ImageDraw.Draw(picture)
    right, bottom = size[0] - 10 * scale, size[1] - 10 * scale
    draw.line((right, 0, right, bottom), fill=ink, width=2)
    draw.line((0, bottom, right, bottom), fill=ink, width=2)
    rows, columns = form
    height, width = max(rows), max(columns)
    for row in rows:
        draw.line((right - width * scale, bottom - row * scale, right, bottom - row * scale), fill=ink, width=2)
    for column in columns:
        draw.line((right - column * scale, bottom - height * scale, right - column * scale, bottom), fill=ink, width=2)
    random = np.random.default_rng(texts)
    for x, y in random.uniform((0.0, 0.0), (width, height), (40, 2)):
        left, top = right - x * scale, bottom - y * scale
        draw.rectangle((left, top, left + 3 * scale, top + 1.5 * scale), fill=ink)
    return picture


def agreement(one: Image.Image, other: Image.Image, corner: str = "bottom-right", free: bool = False) -> float:
    query, stored = measure_line_grid(one, corner), measure_line_grid(other, corner)
    return float(compare_line_grids(query, [stored], free)[0])


def scanned(picture: Image.Image, degrees: float) -> Image.Image:
    turned = picture.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)
    levels = np.asarray(turned, np.float32) + np.random.default_rng(5).normal(0, 8, turned.size[::-1])
    return Image.fromarray(np.clip(levels, 0, 245).astype(np.uint8))


ANOTHER = max(agreement(block(), block(OTHER)), agreement(block(), block(THIRD)))


def test_the_same_form_with_other_words_agrees_and_another_form_does_not() -> None:
    assert agreement(block(), block(texts=4)) > 0.95 and ANOTHER < 0.6


@pytest.mark.parametrize("degrees", [-1.5, -0.4, 0.7, 1.4])
def test_a_scan_that_is_turned_and_noisy_agrees(degrees: float) -> None:
    assert agreement(block(), scanned(block(texts=6), degrees)) > ANOTHER + 0.15


def test_a_blueprint_agrees_with_its_print() -> None:
    assert agreement(block(), block(colours=(25, 230), texts=8)) > 0.9


@pytest.mark.parametrize("share", [2**-0.5, 0.5])
def test_the_same_block_on_a_larger_sheet_agrees(share: float) -> None:
    larger = block(scale=2 * share, sheet=(round(420 / share), round(220 / share)), texts=9)
    assert agreement(block(), larger) > ANOTHER + 0.15 and agreement(larger, block()) > ANOTHER + 0.15


def test_a_block_cut_out_by_hand_agrees_with_its_page_and_not_with_another_form() -> None:
    page = block(texts=11)
    cut = page.crop((page.width - 440, page.height - 210, page.width - 10, page.height - 10))
    assert agreement(cut, page, free=True) > 0.7 > 0.6 > agreement(cut, block(THIRD), free=True)


@pytest.mark.parametrize(
    ("corner", "turns"),
    [
        ("bottom-left", (Image.Transpose.FLIP_LEFT_RIGHT,)),
        ("top-right", (Image.Transpose.FLIP_TOP_BOTTOM,)),
        ("top-left", (Image.Transpose.ROTATE_180,)),
    ],
)
def test_places_are_measured_from_the_corner_of_the_page(corner: str, turns: tuple[Image.Transpose, ...]) -> None:
    mirrored = block()
    for turn in turns:
        mirrored = mirrored.transpose(turn)
    np.testing.assert_array_equal(measure_line_grid(mirrored, corner).maps, measure_line_grid(block()).maps)


def test_the_text_of_a_grid_is_little_more_than_a_kilobyte_and_agrees_with_it() -> None:
    grid = measure_line_grid(block())
    read = LineGrid.from_text(grid.to_text())
    assert read and len(grid.to_text()) == 1112
    np.testing.assert_allclose(read.maps, grid.maps, atol=0.5 / 15)
    assert compare_line_grids(grid, [read])[0] > 0.99


@pytest.mark.parametrize("text", ["", "====", "AAAA", "ä", "A" * 1023])
def test_another_text_is_no_grid(text: str) -> None:
    assert LineGrid.from_text(text) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (50, 50)])
@pytest.mark.parametrize("level", [0, 255])
def test_a_picture_without_rules_agrees_with_nothing(size: tuple[int, int], level: int) -> None:
    empty = measure_line_grid(Image.new("L", size, level))
    assert not empty.maps.any()
    assert compare_line_grids(empty, [empty, measure_line_grid(block())]).tolist() == [0.0, 0.0]
    assert compare_line_grids(empty, []).tolist() == []
