"""Cells and points of a layout: each image is in one cell, and its box has as many."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.gallery.map_address import MapBox
from clip_vectorizer.gallery.map_cells import (
    COLUMNS,
    PALETTE,
    ROWS,
    PointColour,
    colour_points,
    draw_points,
    find_inside,
    list_colours,
    part,
)
from clip_vectorizer.gallery.map_store import MapLayout, MappedImage


def make_layout(seed: int, count: int, labels: int = 3, rounded: bool = False) -> MapLayout:
    rng = np.random.default_rng(seed)
    places = rng.random((count, 2))
    places = np.round(places * 12) / 12 if rounded else places  # on the edges of cells
    images = tuple(
        MappedImage(f"{index}", f"{index}.png", "", {"label": f"l{index % labels:02}"} if index % 5 else {})
        for index in range(count)
    )
    return MapLayout(images, places, count)


@given(seed=st.integers(0, 10**6), count=st.integers(1, 60), rounded=st.booleans())
def test_every_image_is_in_one_cell_and_its_box_has_those_it_counts(seed: int, count: int, rounded: bool) -> None:
    layout = make_layout(seed, count, rounded=rounded)
    cells = part(layout, MapBox(), "label")
    assert sum(cell.count for cell in cells) == count
    for cell in cells:
        inside = find_inside(layout, MapBox.parse(str(cell.box)))
        assert len(inside) == cell.count and cell.nearest in inside
        assert 0 <= cell.column < COLUMNS and 0 <= cell.row < ROWS
        if cell.box.can_be_parted:
            assert sum(each.count for each in part(layout, cell.box, "label")) == cell.count


def test_a_cell_shows_the_image_nearest_to_its_centre_and_names_what_most_are() -> None:
    places = np.array([[0.01, 0.01], [0.06, 0.08], [0.12, 0.16], [0.9, 0.9], [0.91, 0.91]])
    labels = ["fruit", "birds", "fruit", "tools", "birds"]
    images = tuple(MappedImage(str(at), "", "", {"label": label}) for at, label in enumerate(labels))
    first, second = part(MapLayout(images, places, 5), MapBox(), "label")
    assert (first.column, first.row, first.count, first.nearest, first.mostly) == (0, 0, 3, 1, "fruit")
    assert (second.count, second.mostly) == (2, ""), "half of them are not most"


def test_colours_count_every_image_once_the_most_frequent_first() -> None:
    layout = make_layout(0, 500, labels=21)
    points = colour_points(layout, "label")
    assert len(points) == PALETTE + 2
    assert sum(each.count for each in points) == 500
    named = [each.count for each in points[:PALETTE]]
    assert named == sorted(named, reverse=True)
    assert (points[PALETTE].kind, points[PALETTE].value, points[-1].value) == ("cr", "13 others", "")
    assert sorted(index for each in points for index in each.indices) == list(range(500))
    assert list_colours(layout) == ["label"]
    assert list_colours(make_layout(0, 4, labels=1)) == ["label"], "one value, and images without it"


def test_equal_places_are_drawn_once() -> None:
    places = np.array([[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]])
    images = tuple(MappedImage(str(at), "", "", {}) for at in range(3))
    layout = MapLayout(images, places, 3)
    first, *others = draw_points(layout, [PointColour("fruit", np.repeat([0, 1, 2], 8), "c0")])
    assert first == ("c0", "M0 300h0M200 150h0") and set(others) == {first}
