"""Queries: texts, images, vectors, stored images, and sums of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import ImageSearch, Move, Query
from tests.ingest.sources.web_server import serving
from tests.stack.acceptance.in_process import Command, paths, same_answer, unit
from tests.stack.support import EXAMPLES, Ran

BANANA, GUITAR = EXAMPLES / "fruit" / "banana.png", EXAMPLES / "musical instruments" / "guitar.png"


pytestmark = pytest.mark.stack


def test_an_image_finds_the_same_in_every_form(pictures: ImageSearch, encoder: VectorizerClient) -> None:
    wanted = pictures.by_image(GUITAR, limit=13)
    [vector_d] = encoder.embed_images([GUITAR.read_bytes()])
    with Image.open(GUITAR) as opened, serving() as site:
        forms = [
            GUITAR,
            GUITAR.read_bytes(),
            opened,
            Query.image(str(GUITAR)),
            Query.image(site.add("/guitar.png", GUITAR.read_bytes())),
            Query.stored("musical instruments/guitar.png", include_self=True),
            Query.stored(wanted[0].id, include_self=True),
            Query.vector(vector_d),
        ]
        for form in forms:
            assert same_answer(pictures.find(form, limit=13), wanted), form


def test_a_string_is_a_text_even_where_a_file_has_that_name(pictures: ImageSearch) -> None:
    assert same_answer(pictures.find(str(GUITAR), limit=13), pictures.by_text(str(GUITAR), limit=13))


def test_a_sum_is_the_unit_vector_of_its_weighted_unit_vectors(
    pictures: ImageSearch, encoder: VectorizerClient
) -> None:
    apple, green, red = encoder.embed_texts(["apple", "green", "red"])
    wanted = pictures.by_vector(unit(unit(apple) + 2 * unit(green) - 0.5 * unit(red)), limit=13)
    assert same_answer(
        pictures.find(Query.text("apple") + 2 * Query.text("green") - 0.5 * Query.text("red"), limit=13), wanted
    )
    assert same_answer(pictures.find(Query.parse("apple + 2*green - 0.5*red"), limit=13), wanted)


def test_plus_and_minus_turn_a_red_apple_into_a_green_one(pictures: ImageSearch) -> None:
    assert paths(pictures.find("apple", limit=1)) == ["fruit/red-apple.png"]
    assert paths(pictures.find(Query.parse("apple + green - red"), limit=1)) == ["fruit/green-apple.png"]


def test_texts_and_images_can_be_added(pictures: ImageSearch, encoder: VectorizerClient) -> None:
    [guitar], [blue] = encoder.embed_images([GUITAR.read_bytes()]), encoder.embed_texts(["blue"])
    mixed = pictures.find(Query.image(GUITAR) + Query.text("blue"), limit=13)
    assert same_answer(mixed, pictures.by_vector(unit(unit(guitar) + unit(blue)), limit=13))


@pytest.mark.parametrize(
    ("words", "expression"),
    [
        (["apple", "+", "green", "-", "red"], "apple + green - red"),
        (["apple + 2*green"], "apple + 2*green"),
        (["apple", "--minus", "red"], "apple - red"),
        (["apple", "--plus", "green", "--minus", "red", "--minus", "heart"], "apple + green - red - heart"),
    ],
    ids=str,
)
def test_the_command_adds_as_python_does(
    clip_search: Command, pictures: ImageSearch, words: list[str], expression: str
) -> None:
    wanted = pictures.find(Query.parse(expression), limit=5)
    assert similarities(clip_search(*words, "--limit", 5, "--json")) == pytest.approx(
        [hit.similarity for hit in wanted], abs=2e-6
    )


def similarities(answer: Ran) -> list[float]:
    return [row["similarity"] for row in answer.rows]


def test_the_command_takes_a_text_literally_with_plain(clip_search: Command, pictures: ImageSearch) -> None:
    plain = similarities(clip_search("apple - red", "--plain", "--json"))
    assert plain == pytest.approx([hit.similarity for hit in pictures.by_text("apple - red")], abs=2e-6)
    assert plain != pytest.approx(similarities(clip_search("apple - red", "--json")), abs=1e-3)


def test_the_command_takes_a_file_an_address_and_an_array(
    clip_search: Command, pictures: ImageSearch, tmp_path: Path
) -> None:
    [hit] = pictures.by_image(GUITAR, limit=1, include_vector=True)
    np.save(tmp_path / "guitar.npy", hit.vector)
    with serving() as site:
        address = site.add("/guitar.png", GUITAR.read_bytes())
        for option, value in (("--image", GUITAR), ("--image", address), ("--vector", tmp_path / "guitar.npy")):
            first, second = clip_search(option, value, "--limit", 2, "--json").rows
            assert (first["path"], first["similarity"]) == (hit.path, pytest.approx(1, abs=1e-5)), value
            assert second["similarity"] < 0.999


def test_like_finds_the_neighbours_of_a_stored_image_without_itself(
    clip_search: Command, pictures: ImageSearch
) -> None:
    itself, *others = pictures.by_image(GUITAR, limit=4)
    assert same_answer(pictures.find(Query.stored(itself.path), limit=3), others)
    for name in (itself.path, itself.id):
        rows = clip_search("--like", name, "--limit", 3, "--json").rows
        assert [row["path"] for row in rows] == paths(others)


def test_a_move_raises_the_rank_of_its_target(clip_search: Command, pictures: ImageSearch) -> None:
    def rank(path: str, query: str, **arguments: Any) -> int:
        return paths(pictures.find(query, limit=13, **arguments)).index(path)

    blue, guitar = "hearts/blue-heart.png", "musical instruments/guitar.png"
    assert rank(blue, "fruit", move_to=Move("blue heart", 0.9)) < rank(blue, "fruit")
    assert rank(guitar, "music", move_away=Move("guitar", 0.9)) > rank(guitar, "music")
    moved = pictures.find("fruit", limit=5, move_to=Move("blue heart", 0.9))
    answer = clip_search("fruit", "--move-to", "blue heart", "--force", "0.9", "--limit", 5, "--json")
    assert similarities(answer) == pytest.approx([hit.similarity for hit in moved], abs=2e-6)
