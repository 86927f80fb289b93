"""What is looked for, against the real Weaviate and sums in numpy over the vectors it holds."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from weaviate import WeaviateClient

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import ImageSearch, Move, Query
from clip_vectorizer.query.connect import WeaviateImages
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.query import QueryInput
from clip_vectorizer.query.zeroshot.classify import ClassificationStores
from tests.stack.search.stored import LEMON, OWL, ROUNDING, StoredExamples, paths

pytestmark = pytest.mark.stack


def test_a_sum_is_the_weighted_sum_of_unit_vectors(found: ImageSearch, stored: StoredExamples) -> None:
    words_pd = found.sidecar.embed_texts(["a yellow fruit", "a dog"])
    sum_d = (
        words_pd[0] + 0.5 * stored.vector("fruit/lemon.png") - 0.25 * words_pd[1] + 2 * stored.vector("birds/owl.png")
    )
    what = (
        Query.text("a yellow fruit")
        + 0.5 * Query.image(LEMON)
        - 0.25 * Query.text("a dog")
        + 2 * Query.stored("birds/owl.png", include_self=True)
    )
    hits = found.find(what, limit=30)
    assert paths(hits) == stored.nearest(sum_d, 30)
    expected = np.sort(stored.cosines(sum_d))[::-1][:30]
    np.testing.assert_allclose([hit.similarity for hit in hits], expected, atol=ROUNDING)


def test_a_parsed_expression_finds_the_same_as_the_sum_in_python(found: ImageSearch) -> None:
    assert found.find(Query.parse("banana + 2*dog - car")) == found.find(
        Query.text("banana") + 2 * Query.text("dog") - "car"
    )


@pytest.mark.parametrize(
    "moves",
    [
        {"move_to": Move("the sea", 0.8)},
        {"move_away": Move("an animal", 1.5)},
        {"move_to": Move("the sea", 0.3), "move_away": Move("an animal", 0.7)},
        {"move_to": Move("the sea", 0.0)},
    ],
)
def test_a_move_computed_here_equals_weaviates(
    found: ImageSearch, client: WeaviateClient, moves: SearchArguments
) -> None:
    here = without_module(found, client)
    theirs, ours = (search.find("a fish", limit=50, **moves) for search in (found, here))
    assert [call_of(found, moves), call_of(here, moves)] == ["near_text", "near_vector"]
    by_path = {hit.path: hit.distance for hit in ours}
    np.testing.assert_allclose([hit.distance for hit in theirs], [by_path[hit.path] for hit in theirs], atol=ROUNDING)


def call_of(search: ImageSearch, moves: SearchArguments) -> str:
    return search.explain("a fish", **moves).call.method


def without_module(search: ImageSearch, client: WeaviateClient) -> ImageSearch:
    """The same collection, as if its Weaviate could not embed a text."""
    images = WeaviateImages(client, "", replace(search.searches.target, by_module=False))
    return ImageSearch(search.info, search.sidecar, images, no_labels)


def no_labels() -> ClassificationStores:
    raise AssertionError("labels were requested")


def test_an_image_may_be_a_path_bytes_a_pil_image_or_stored(found: ImageSearch) -> None:
    expected = found.by_image(OWL, limit=5)
    with Image.open(OWL) as opened:
        picture = opened.convert("RGBA")
    for what in (OWL, str(OWL), OWL.read_bytes(), picture):
        assert paths(found.by_image(what, limit=5)) == paths(expected)
    assert paths(found.find(OWL, limit=5)) == paths(expected)
    assert paths(found.find(Query.stored("birds/owl.png"), limit=4)) == paths(expected)[1:]
    assert paths(found.find(Query.stored(expected[0].id), limit=4)) == paths(expected)[1:]
    assert paths(found.find(Query.stored("birds/owl.png", include_self=True), limit=5)) == paths(expected)


def test_the_error_for_a_missing_stored_image_names_a_near_one(found: ImageSearch) -> None:
    with pytest.raises(InputError, match=r"holds no image fruit/banan\.png; did you mean fruit/banana\.png"):
        found.find(Query.stored("fruit/banan.png"))
    with pytest.raises(InputError, match="holds no image 00000000-0000-0000-0000-000000000000; give its path"):
        found.find(Query.stored("00000000-0000-0000-0000-000000000000"))


@pytest.mark.parametrize(
    ("what", "arguments", "sentence"),
    [
        ("owl", {"limit": 6000, "offset": 6000}, "10000 best"),
        ("owl", {"return_properties": ["siz"]}, "did you mean size"),
        ("owl", {"filters": "lable=fruit"}, "did you mean label"),
        ("owl", {"filters": "label=frut"}, "did you mean fruit"),
        (Query.text("owl") - "owl", {}, "cancel each other out"),
        (Query.image(OWL), {"alpha": 0.5}, "needs words"),
        (Query.image("nowhere.png"), {}, "nowhere.png: No such file"),
        (Query.image("http://127.0.0.1:1/owl.png"), {}, "http://127.0.0.1:1/owl.png: cannot be downloaded"),
    ],
)
def test_bad_searches_raise_a_clear_sentence(
    found: ImageSearch, what: QueryInput, arguments: SearchArguments, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        found.find(what, **arguments)
