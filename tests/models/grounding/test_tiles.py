"""Tiles of a picture as regions, and names of grounders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from clip_vectorizer.boxes import areas, overlaps, place
from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.models.grounding.catalog import load_grounder
from clip_vectorizer.models.grounding.names import explain_grounder
from clip_vectorizer.models.grounding.tiles import TileGrounder, cut_tiles
from tests.fakes import HashEncoder
from tests.stack.support import REPOSITORY

SIDES = st.integers(1, 3000)


@given(width=SIDES, height=SIDES)
def test_tiles_are_inside_the_picture_and_nearly_square_and_few(width: int, height: int) -> None:
    tiles = cut_tiles(width, height)
    assert tiles[0].tolist() == [0, 0, 1, 1] and 1 <= len(tiles) <= 369
    assert np.all((tiles >= 0) & (tiles <= 1 + 1e-6)) and np.all(areas(tiles) > 0)
    sides = (tiles[1:, 2:] - tiles[1:, :2]) * (width, height)
    if max(width, height) <= 3 * min(width, height):
        assert np.all(sides.max(axis=1) < 1.6 * sides.min(axis=1))


@given(width=st.integers(20, 2000), height=st.integers(20, 2000), x=st.floats(0.1, 0.9), y=st.floats(0.1, 0.9))
def test_every_place_is_in_tiles_of_each_size(width: int, height: int, x: float, y: float) -> None:
    tiles = cut_tiles(width, height)
    inside = (tiles[:, 0] <= x) & (x <= tiles[:, 2]) & (tiles[:, 1] <= y) & (y <= tiles[:, 3])
    assert inside.sum() >= (3 if min(width, height) >= 32 else 1)


@given(st.lists(st.floats(-1, 2), min_size=4, max_size=4), SIDES, SIDES)
def test_a_box_in_pixels_is_in_the_picture_and_has_a_pixel(box: list[float], width: int, height: int) -> None:
    left, top, right, bottom = place(box, width, height)
    assert left >= 0 and left + 1 <= right + 1e-3 and right <= width
    assert top >= 0 and top + 1 <= bottom + 1e-3 and bottom <= height


def find_drawing(name: str) -> Image.Image:
    return Image.open(next((REPOSITORY / "examples" / "images").rglob(f"{name}.png"))).convert("RGBA")


def test_the_place_of_a_thing_is_found_and_what_is_absent_is_less_probable() -> None:
    """By the bundled model: two drawings on a white ground."""
    scene = Image.new("RGB", (240, 240), "white")
    for name, corner in (("lemon", (10, 10)), ("owl", (130, 130))):
        drawing = find_drawing(name).resize((90, 90))
        scene.paste(drawing, corner, drawing)
    grounder = TileGrounder(load_encoder(ModelName("emoji"), Placement()))
    found = grounder.ground(scene, [["a lemon", "a drawing of a lemon"], ["an owl"], ["a hammer"]])
    lemon, owl = found.regions.boxes_n4[found.similarities_pn[:2].argmax(axis=1)]
    assert overlaps(lemon[None], np.array([[10, 10, 100, 100]], np.float32) / 240)[0, 0] > 0.25
    assert overlaps(owl[None], np.array([[130, 130, 220, 220]], np.float32) / 240)[0, 0] > 0.25
    present, absent = found.probabilities_pn[:2].max(axis=1), found.probabilities_pn[2].max()
    assert present.min() > absent


def test_proposals_are_where_the_picture_differs_from_its_ground() -> None:
    scene = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(scene).rectangle((100, 100, 199, 199), "red")

    class Shade(HashEncoder):
        """The vector of a crop is its mean colour."""

        def encode_images(self, images: list[np.ndarray]) -> np.ndarray:  # type: ignore[override]
            means = np.stack([image.reshape(-1, 3).mean(axis=0) - 100 for image in images])
            return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    regions = TileGrounder(Shade()).propose(scene, 3)
    truth = np.array([[0.5, 0.5, 1, 1]], np.float32)
    shared = np.clip(np.minimum(regions.boxes_n4[:, 2:], truth[:, 2:]) - np.maximum(regions.boxes_n4[:, :2], 0.5), 0, 1)
    assert np.all(shared.prod(axis=1) / areas(regions.boxes_n4) > 0.99)
    assert regions.vectors_nd is not None and regions.vectors_nd.shape == (3, 3)


def test_a_probability_rises_with_the_similarity() -> None:
    found = TileGrounder(HashEncoder()).ground(Image.effect_noise((64, 64), 90).convert("RGB"), [["a"], ["b"], ["c"]])
    order = np.argsort(found.similarities_pn, axis=None)
    assert np.all(np.diff(found.probabilities_pn.ravel()[order]) >= 0)


class ManyTexts(HashEncoder):
    longest = 0

    def encode_texts(self, texts: list[PreparedText]) -> np.ndarray:  # type: ignore[override]
        self.longest = max(self.longest, len(texts))
        return super().encode_texts(texts)


def test_thousands_of_phrases_are_encoded_in_passes() -> None:
    encoder = ManyTexts()
    found = TileGrounder(encoder).ground(Image.new("RGB", (4, 4)), [[str(n)] for n in range(2000)])
    assert found.similarities_pn.shape == (2000, 1) and encoder.longest <= 64


@pytest.mark.parametrize("name", ["tile", "owlv2", "owlv2:", "grounding-dino: ", ""])
def test_a_name_that_is_no_grounder_is_explained(name: str) -> None:
    assert explain_grounder(name).count("expected") == 1


def test_the_head_of_a_model_without_one_names_the_way_out() -> None:
    with pytest.raises(ModelUnavailable, match="hash has no trained head for regions; use --grounder tiles, or auto"):
        load_grounder("head", HashEncoder())


def test_no_grounder_is_none_and_any_model_has_tiles() -> None:
    assert load_grounder("none", HashEncoder()) is None
    for name in ("auto", "tiles"):
        assert isinstance(load_grounder(name, HashEncoder()), TileGrounder)
