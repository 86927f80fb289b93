"""The address of the map: read, written, and refused with a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from clip_vectorizer.gallery.map_address import MapAddress, MapBox

EDGE = st.integers(0, 10**6).map(lambda millionths: millionths / 10**6)


@st.composite
def boxes(draw: st.DrawFn) -> MapBox:
    (x0, x1), (y0, y1) = (sorted(draw(st.lists(EDGE, min_size=2, max_size=2, unique=True))) for _ in range(2))
    return MapBox(x0, y0, x1, y1)


@given(box=boxes())
def test_a_box_is_read_as_it_was_written(box: MapBox) -> None:
    assert MapBox.parse(str(box)) == box
    assert MapAddress.parse(str(MapAddress(box=box)).partition("?")[2]).box == box


@given(box=boxes(), right=st.integers(-1, 1), down=st.integers(-1, 1))
def test_parts_beside_and_around_stay_on_the_map(box: MapBox, right: int, down: int) -> None:
    for other in (box.moved(right, down), box.grown(8, 6)):
        assert 0 <= other.x0 < other.x1 <= 1 and 0 <= other.y0 < other.y1 <= 1
    grown = box.grown(8, 6)
    assert grown.x0 <= box.x0 and box.x1 <= grown.x1 and grown.y0 <= box.y0 and box.y1 <= grown.y1


@pytest.mark.parametrize(
    "text", ["", "1", "0,0,1", "0,0,1,2", "0.5,0,0.5,1", "nan,0,1,1", "inf,0,1,1", "a,b,c,d", "-1,0,1,1"]
)
def test_another_box_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="box="):
        MapBox.parse(text)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("box=x", "expected x0,y0,x1,y1"),
        ("layout=tsne", "expected pca or umap"),
        ("lable=1", "no option of this page"),
        ("q=" + "a" * 30_000, "letters, and"),
        ("&".join(["where=a%3Db"] * 300), "more than 200 parameters"),
    ],
)
def test_a_bad_address_is_a_sentence(query: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        MapAddress.parse(query)


def test_an_address_keeps_the_search_beside_its_own_parameters() -> None:
    address = MapAddress.parse("q=red+apple&where=label%3Dfruit&box=0,0,0.5,0.5&colour=camera")
    assert str(address.search) == "q=red+apple&where=label%3Dfruit"
    assert str(address) == "/map?q=red+apple&where=label%3Dfruit&box=0%2C0%2C0.5%2C0.5&colour=camera"
    assert str(address.narrowed(["label=birds"])) == "/map?q=red+apple&where=label%3Dbirds&colour=camera"
