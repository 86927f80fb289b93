"""Variants of drawings, and what they must not lose."""

import colorsys
import random
import re

import pytest

from clip_vectorizer.training.drawings import rasterise
from clip_vectorizer.training.restyling import (
    DROP_SHARE,
    DROPPED_FROM,
    INK_WIDTHS,
    PALETTE_CHANGES,
    PALETTES,
    WOBBLE,
    Restyling,
    drop_shape,
    flatten_gradients,
    format_colour,
    parse_colour,
    recolour,
    restyle,
    wobble_path,
    wobble_paths,
)

SIDE = 32
SUN = (
    '<circle cx="16" cy="16" r="9" fill="#ffcc00"/>'
    '<path d="M16 2 18 6h-4z" fill="#f80"/><path d="M2 2h4v4z" fill="#ffcc00"/>'
)
SHADED = (
    '<linearGradient id="a"><stop stop-color="#111111"/><stop offset=".5" stop-color="#ff0000"/>'
    '<stop offset="1" stop-color="#eeeeee"/></linearGradient>'
    '<path d="M0 0h32v32H0z" fill="url(#a)"/>'
)


def draw_variants(body: str, count: int = 200, colours_kept: bool = False) -> list[Restyling]:
    return [restyle(body, SIDE, colours_kept, random.Random(seed)) for seed in range(count)]


def list_colours(body: str) -> list[str]:
    return re.findall(r'fill="#([0-9a-f]+)"', body)


def list_numbers(data: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", data)]


def test_a_drawing_and_a_seed_give_the_same_variant() -> None:
    assert draw_variants(SUN, 20) == draw_variants(SUN, 20)
    assert len(set(draw_variants(SUN, 20))) > 15


def test_all_variants_are_drawings() -> None:
    for variant in draw_variants(SUN, 40):
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><style>{variant.css}</style>{variant.body}'
        assert (rasterise(f"{svg}</svg>", SIDE)[..., 3] > 0).mean() > 0.2  # the disc covers a quarter


def test_one_colour_stays_one_colour() -> None:
    for variant in draw_variants(SUN):
        disc, ray, other = list_colours(variant.body)
        assert disc == other
        assert len(ray) in (3, 6)


def test_colours_that_mean_something_stay() -> None:
    assert {tuple(list_colours(each.body)) for each in draw_variants(SUN, colours_kept=True)} == {
        ("ffcc00", "f80", "ffcc00")
    }


def test_each_palette_has_its_share() -> None:
    assert sum(PALETTES.values()) == pytest.approx(1)
    assert PALETTES.keys() == PALETTE_CHANGES.keys()
    variants = draw_variants(SUN, 1000)
    kept = sum(list_colours(each.body)[0] == "ffcc00" for each in variants) / len(variants)
    white = sum(list_colours(each.body)[0] == "ffffff" for each in variants) / len(variants)
    grey = sum(len(set(re.findall("..", list_colours(each.body)[0]))) == 1 for each in variants) / len(variants) - white
    assert kept == pytest.approx(PALETTES["same"] + PALETTES["white"] / 2, abs=0.05)
    assert white == pytest.approx(PALETTES["white"] / 2, abs=0.03)
    assert grey == pytest.approx(PALETTES["grey"], abs=0.03)


def test_white_drawings_have_an_outline() -> None:
    whitened = [each for each in draw_variants(SUN) if "ffffff" in list_colours(each.body)]
    assert whitened and all("stroke:" in each.css for each in whitened)


def test_most_variants_have_an_outline_of_some_width() -> None:
    sheets = [each.css for each in draw_variants(SUN) if each.css]
    assert 0.7 < len(sheets) / 200 < 0.9  # three quarters, and all white ones
    widths = [float(re.search(r"stroke-width:([\d.]+)", sheet)[1]) / SIDE for sheet in sheets]  # type: ignore[index]
    assert INK_WIDTHS[0] - 0.001 <= min(widths) < 0.02 < 0.035 < max(widths) <= INK_WIDTHS[1] + 0.001


@pytest.mark.parametrize(("digits", "rgb"), [("f80", (1.0, 8 / 15, 0.0)), ("FF8800", (1.0, 8 / 15, 0.0))])
def test_colours_are_read_and_written(digits: str, rgb: tuple[float, float, float]) -> None:
    assert parse_colour(digits) == pytest.approx(rgb)
    assert format_colour(parse_colour(digits)) == "#ff8800"


def test_a_varied_colour_keeps_its_hue_nearly() -> None:
    for seed in range(100):
        [colour] = list_colours(recolour('<path fill="#cc2200"/>', PALETTE_CHANGES["varied"], random.Random(seed)))
        hue, _, value = colorsys.rgb_to_hsv(*parse_colour(colour))
        assert min(abs(hue - 1 / 36), 1 - abs(hue - 1 / 36)) < 0.2
        assert 0.5 <= value <= 1


def test_a_grey_colour_has_the_luma_of_the_colour() -> None:
    [colour] = list_colours(recolour('<path fill="#00ff00"/>', PALETTE_CHANGES["grey"], random.Random(0)))
    assert colour == "969696"  # .587 of white


def test_a_flattened_gradient_is_its_middle_colour() -> None:
    assert '<path d="M0 0h32v32H0z" fill="#ff0000"/>' in flatten_gradients(SHADED)


def test_a_gradient_that_refers_to_the_stops_of_another_stays() -> None:
    body = '<linearGradient id="b" href="#a"></linearGradient><path fill="url(#b)"/>'
    assert flatten_gradients(body) == body


def test_one_shape_of_many_goes_and_of_few_none() -> None:
    shapes = [f'<circle cx="{place}"/>' for place in range(DROPPED_FROM)]
    left = drop_shape("".join(shapes), random.Random(0))
    assert sum(shape in left for shape in shapes) == DROPPED_FROM - 1
    few = "".join(shapes[:-1])
    assert drop_shape(few, random.Random(0)) == few
    lost = sum("".join(shapes) != each.body for each in draw_variants("".join(shapes), 400)) / 400
    assert lost == pytest.approx(DROP_SHARE, abs=0.07)


def test_points_move_a_little_and_none_is_lost() -> None:
    data = "M16 2 18.5-6h-4.25v.5.5q1,2 3,4z"
    moved = wobble_path(data, 0.5, random.Random(0))
    assert re.findall("[a-zA-Z]", moved) == re.findall("[a-zA-Z]", data)
    before, after = [16, 2, 18.5, -6, -4.25, 0.5, 0.5, 1, 2, 3, 4], list_numbers(moved)
    assert after != before
    assert all(abs(old - new) <= 0.5 + 1e-3 for old, new in zip(before, after, strict=True))
    offsets = zip(before[4:], after[4:], strict=True)  # after lower-case commands, which move all points that follow
    assert all(abs(old - new) <= 0.15 + 1e-3 for old, new in offsets)


def test_a_number_with_an_exponent_is_one_number() -> None:
    assert list_numbers(wobble_path("M1e-2 3L2E1 4", 0.0, random.Random(0))) == [0.01, 3, 20, 4]


@pytest.mark.parametrize("data", ["a4 5 30 0 1 6 7", "a4 5 30 016 7", "a4,5,30,0,1,6,7", "a4 5 30 01 6 7"])
def test_flags_and_radii_of_an_arc_stay(data: str) -> None:
    moved = wobble_path(data, 1.0, random.Random(0))
    *shape, x, y = list_numbers(moved)
    assert shape == [4, 5, 30, 0, 1]
    assert 0 < abs(x - 6) <= 0.3 and 0 < abs(y - 7) <= 0.3


def test_several_arcs_of_one_command_are_all_kept() -> None:
    assert list_numbers(wobble_path("a1 1 0 01.5.5 2 2 0 10-3-.25", 0.0, random.Random(0))) == [
        *(1, 1, 0, 0, 1, 0.5, 0.5),
        *(2, 2, 0, 1, 0, -3, -0.25),
    ]


def test_only_data_of_paths_move() -> None:
    body = '<path id="d1" d="M1 2z" fill="#ff8800"/><circle cx="5" r="3"/>'
    moved = wobble_paths(body, WOBBLE * SIDE, random.Random(0))
    assert moved != body
    assert re.sub(r' d="[^"]*"', "", moved) == re.sub(r' d="[^"]*"', "", body)
