"""Every way to search, against the real Weaviate and sums in numpy over the vectors it holds.

N images · D dimensions
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from weaviate import WeaviateClient
from weaviate.classes.query import Filter

from clip_vectorizer.connection import connect_weaviate
from clip_vectorizer.errors import InputError
from clip_vectorizer.query import (
    AsyncImageSearch,
    Hit,
    ImageSearch,
    Listed,
    Mixture,
    Move,
    image,
    stored,
    text,
    vector,
)
from clip_vectorizer.query.asking import Asked
from clip_vectorizer.query.database import WeaviateImages
from clip_vectorizer.query.mixture import What
from clip_vectorizer.query.zeroshot.shelf import Shelf
from clip_vectorizer.vectors import Vectors, unit
from tests.stack.conftest import New
from tests.stack.images import png
from tests.stack.storing import GREEN, RED, many
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

BANANA, LEMON, OWL = (EXAMPLES / name for name in ("fruit/banana.png", "fruit/lemon.png", "birds/owl.png"))
ROUNDING = 1e-5


@dataclass(frozen=True)
class Held:
    """All that the collection of examples holds."""

    images: list[Listed]
    vectors_nd: Vectors

    def nearest(self, vector_d: Vectors, limit: int) -> list[str]:
        """Paths, exactly."""
        return [self.images[i].path for i in np.argsort(-self.cosines(vector_d), kind="stable")[:limit]]

    def cosines(self, vector_d: Vectors) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = self.vectors_nd.astype(np.float64) @ unit(vector_d)
        return found

    def of(self, path: str) -> Vectors:
        return self.vectors_nd[[image.path for image in self.images].index(path)]


@pytest.fixture(scope="module")
def found(stack: Stack, examples: str) -> Iterator[ImageSearch]:
    with connect(stack, examples) as search:
        yield search


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[WeaviateClient]:
    with connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as connected:
        yield connected


@pytest.fixture(scope="module")
def held(found: ImageSearch) -> Held:
    images = list(found.everything(vectors=True, properties=["size", "sha256"]))
    return Held(images, np.stack([each.vector for each in images if each.vector is not None]))


def connect(stack: Stack, collection: str, tenant: str | None = None, consistency: str | None = None) -> ImageSearch:
    return ImageSearch.connect(
        stack.weaviate_url,
        stack.grpc_port,
        stack.api_key,
        stack.vectorizer_url,
        collection,
        tenant=tenant,
        consistency=consistency,
    )


def paths(hits: list[Hit]) -> list[str]:
    return [hit.path for hit in hits]


def test_a_mixture_is_the_weighted_sum_of_unit_vectors(found: ImageSearch, held: Held) -> None:
    words_pd = found.sidecar.embed_texts(["a yellow fruit", "a dog"])
    sum_d = words_pd[0] + 0.5 * held.of("fruit/lemon.png") - 0.25 * words_pd[1] + 2 * held.of("birds/owl.png")
    what = text("a yellow fruit") + 0.5 * image(LEMON) - 0.25 * text("a dog") + 2 * stored("birds/owl.png", itself=True)
    hits = found.find(what, limit=30)
    assert paths(hits) == held.nearest(sum_d, 30)
    expected = np.sort(held.cosines(sum_d))[::-1][:30]
    np.testing.assert_allclose([hit.similarity for hit in hits], expected, atol=ROUNDING)


def test_a_typed_mixture_finds_what_the_same_one_in_python_does(found: ImageSearch) -> None:
    assert found.find(Mixture.parse("banana + 2*dog - car")) == found.find(text("banana") + 2 * text("dog") - "car")


@pytest.mark.parametrize(
    "moves",
    [
        {"move_to": Move("the sea", 0.8)},
        {"move_away": Move("an animal", 1.5)},
        {"move_to": Move("the sea", 0.3), "move_away": Move("an animal", 0.7)},
        {"move_to": Move("the sea", 0.0)},
    ],
)
def test_moving_here_is_what_weaviate_does(found: ImageSearch, client: WeaviateClient, moves: Asked) -> None:
    here = without_module(found, client)
    theirs, ours = (search.find("a fish", limit=50, **moves) for search in (found, here))
    assert [call_of(found, moves), call_of(here, moves)] == ["near_text", "near_vector"]
    by_path = {hit.path: hit.distance for hit in ours}
    np.testing.assert_allclose([hit.distance for hit in theirs], [by_path[hit.path] for hit in theirs], atol=ROUNDING)


def call_of(search: ImageSearch, moves: Asked) -> str:
    return search.explain("a fish", **moves).call.method


def without_module(search: ImageSearch, client: WeaviateClient) -> ImageSearch:
    """The same collection, as if its Weaviate could not embed a text."""
    images = WeaviateImages(client, "", replace(search.searches.searched, by_module=False))
    return ImageSearch(search.info, search.sidecar, images, no_labels)


def no_labels() -> Shelf:
    raise AssertionError("labels were asked for")


def test_an_image_may_be_a_path_bytes_a_picture_or_stored(found: ImageSearch) -> None:
    expected = found.by_image(OWL, limit=5)
    with Image.open(OWL) as opened:
        picture = opened.convert("RGBA")
    for what in (OWL, str(OWL), OWL.read_bytes(), picture):
        assert paths(found.by_image(what, limit=5)) == paths(expected)
    assert paths(found.find(OWL, limit=5)) == paths(expected)
    assert paths(found.find(stored("birds/owl.png"), limit=4)) == paths(expected)[1:]
    assert paths(found.find(stored(expected[0].id), limit=4)) == paths(expected)[1:]
    assert paths(found.find(stored("birds/owl.png", itself=True), limit=5)) == paths(expected)


def test_a_stored_image_that_is_not_there_is_answered_with_a_near_one(found: ImageSearch) -> None:
    with pytest.raises(InputError, match=r"holds no image fruit/banan\.png; did you mean fruit/banana\.png"):
        found.find(stored("fruit/banan.png"))
    with pytest.raises(InputError, match="holds no image 00000000-0000-0000-0000-000000000000; name it"):
        found.find(stored("00000000-0000-0000-0000-000000000000"))


def test_only_what_a_filter_lets_through_is_found(found: ImageSearch, held: Held) -> None:
    word_d = found.sidecar.embed_texts(["banana"])[0]
    expected = [path for path in held.nearest(word_d, len(held.images)) if path.startswith("fruit/")]
    assert paths(found.find("banana", limit=50, where="label=fruit")) == expected
    assert paths(found.find("banana", limit=50, where=Filter.by_property("label").equal("fruit"))) == expected
    small = {each.path for each in held.images if each.properties["size"] < 2500}
    hits = found.find("banana", limit=50, where=["label=fruit", "size<2500"])
    assert paths(hits) == [path for path in expected if path in small]


def test_groups_hold_the_nearest_of_each_label(found: ImageSearch, held: Held) -> None:
    nearest = held.nearest(found.sidecar.embed_texts(["bird"])[0], len(held.images))
    labels = list(dict.fromkeys(path.split("/")[0] for path in nearest))
    groups = found.groups("bird", by="label", per_group=2, groups=4)
    assert [group.name for group in groups] == labels[:4]
    for group in groups:
        assert paths(list(group.hits)) == [path for path in nearest if path.startswith(f"{group.name}/")][:2]
    assert groups[0].hits[0] == found.find("bird", limit=1)[0]


def test_the_more_diversity_the_less_hits_are_alike(found: ImageSearch) -> None:
    plain = found.find("a face", limit=8, vectors=True)
    assert paths(found.find("a face", limit=8, diversity=0)) == paths(plain)
    likeness = [alike(found.find("a face", limit=8, vectors=True, diversity=share)) for share in (0, 0.5, 1)]
    assert likeness == sorted(likeness, reverse=True) and likeness[0] > likeness[2]
    mixed = paths(found.find("a face", limit=8, diversity=0.5))
    assert paths(found.find("a face", limit=3, diversity=0.5)) == mixed[:3]


def alike(hits: list[Hit]) -> float:
    vectors_nd = np.stack([hit.vector for hit in hits if hit.vector is not None])
    return float((vectors_nd @ vectors_nd.T).mean())


def test_pages_are_one_long_result_and_everything_is_all(found: ImageSearch, held: Held) -> None:
    whole = found.find("banana", limit=len(held.images))
    pages = list(found.pages("banana", size=100))
    assert [len(page) for page in pages] == [100, 100, 100, len(whole) - 300]
    assert sorted(paths(list(chain(*pages)))) == sorted(paths(whole)) == sorted(each.path for each in held.images)
    assert [len(page) for page in found.pages("banana", size=7, offset=5, limit=20)] == [7, 7, 6]
    assert found.find("banana", limit=10, offset=10) == whole[10:20]


def test_everything_can_be_filtered_and_gone_on_with(found: ImageSearch, held: Held) -> None:
    middle = held.images[len(held.images) // 2]
    assert [each.id for each in found.everything(after=middle.id)] == [
        each.id for each in held.images[len(held.images) // 2 + 1 :]
    ]
    fruit = list(found.everything(where="label=fruit", thumbnails=True))
    assert [each.path for each in fruit] == sorted(each.path for each in held.images if each.label == "fruit")
    assert all(each.thumbnail is not None and each.thumbnail.startswith(b"\xff\xd8") for each in fruit)
    assert list(found.everything(after=fruit[3].id, where="label=fruit", thumbnails=True)) == fruit[4:]
    with pytest.raises(InputError, match="so none comes after it"):
        next(found.everything(after="00000000-0000-0000-0000-000000000000"))


def test_results_can_end_at_a_jump_or_at_a_similarity(found: ImageSearch, held: Held) -> None:
    assert 0 < len(found.find("banana", limit=300, auto_limit=1)) < 300
    cosines_n = held.cosines(found.sidecar.embed_texts(["banana"])[0])
    assert len(found.find("banana", limit=300, min_similarity=0.3)) == (cosines_n >= 0.3).sum()


def test_captions_bring_what_the_picture_alone_would_not(found: ImageSearch, held: Held) -> None:
    best = found.find("violin", limit=5, captions=0.7)[0]
    assert best.path == "musical instruments/violin.png" and best.score is not None
    word_d = found.sidecar.embed_texts(["violin"])[0]
    for hit in found.find("violin", limit=20, captions=0.5, min_similarity=0.1):
        assert hit.similarity == pytest.approx(float(unit(held.of(hit.path)) @ word_d), abs=ROUNDING)
        assert hit.similarity >= 0.1 and hit.vector is None
    assert paths(found.find("violin", captions=1.0)) == ["musical instruments/violin.png"]
    assert found.groups("violin", captions=0.7)[0].hits[0].similarity == pytest.approx(best.similarity)


def test_what_is_asked_for_comes_with_each_hit(found: ImageSearch, held: Held) -> None:
    [hit] = found.by_image(OWL, limit=1, vectors=True, thumbnails=True, properties=["size", "mime"])
    assert hit.vector is not None and hit.thumbnail is not None
    np.testing.assert_array_equal(hit.vector, held.of("birds/owl.png"))
    assert hit.thumbnail.startswith(b"\xff\xd8")
    assert dict(hit.properties) == {"size": OWL.stat().st_size, "mime": "image/png"}


QUESTIONS: list[tuple[What, Asked]] = [
    ("a red apple", {"limit": 4, "where": ["label=fruit|vegetables", "size>=1000"], "min_similarity": 0.05}),
    ('it\'s "quoted"', {"offset": 2, "move_to": Move("the sea"), "move_away": Move("a dog", 2.0), "auto_limit": 3}),
    (text("banana") - "dog", {"where": "path~*an*", "vectors": True, "properties": ["size", "location"]}),
    (stored("birds/owl.png"), {"where": ~Filter.by_property("label").equal("birds"), "limit": 3}),
    ("violin", {"captions": 0.6, "limit": 5, "min_similarity": 0.1}),
    (vector(np.ones(192)), {"where": Filter.by_property("label").contains_none(["birds", "fruit"]), "fold": True}),
    ("owl", {"diversity": 0.3, "limit": 5}),
]


@pytest.mark.parametrize(("what", "asked"), QUESTIONS)
def test_an_explanation_is_what_is_sent(
    stack: Stack, found: ImageSearch, client: WeaviateClient, what: What, asked: Asked
) -> None:
    explanation = found.explain(what, **asked)
    ids = [hit.id for hit in found.find(what, **asked | Asked(fold=False))]
    names: dict[str, object] = {"client": client}
    exec(explanation.python, names)  # as one pastes it
    assert [str(row.uuid) for row in names["found"].objects][: len(ids)] == ids  # type: ignore[attr-defined]
    if explanation.graphql is None:
        assert "diversity" in str(explanation)
    else:
        assert [row["_additional"]["id"] for row in stack.graphql(explanation.graphql)][: len(ids)] == ids
    assert ids and all(len(line) <= 80 for line in str(explanation).splitlines()), str(explanation)


def test_equal_images_become_one_hit_that_lists_its_copies(stack: Stack, new: New) -> None:
    place = new(embed_here=True)
    pictures = {f"red-{n}.png": RED for n in range(7)} | {f"green-{n}.png": GREEN for n in range(2)}
    place.ingest(pictures | many(12))
    with connect(stack, place.collection) as search:
        first, second, third = search.by_image(RED, limit=3, fold=True)
        assert sorted([first.path, *first.copies]) == [f"red-{n}.png" for n in range(7)]
        everything = search.by_image(RED, limit=50, fold=True)
        assert [len(hit.copies) for hit in everything if hit.copies] == [6, 1] and len(everything) == 14
        assert [first, second, third] == everything[:3]
        assert list(chain(*search.pages(RED, size=4, fold=True))) == everything
        assert search.by_image(RED, limit=2, offset=3, fold=True) == everything[3:5]
        assert search.groups(RED, by="mime", fold=True, per_group=9)[0].hits[0].copies


def test_one_tenants_images_are_not_anothers(stack: Stack, new: New) -> None:
    place = new(tenant="anna")
    place.ingest({"red.png": RED, "green.png": GREEN})
    replace(place, tenant="bert").ingest({"blue.png": png((0, 0, 200))})
    with connect(stack, place.collection, tenant="anna", consistency="QUORUM") as anna:
        assert paths(anna.find("something red")) != []
        assert {hit.path for hit in anna.find(RED)} == {"red.png", "green.png"}
        assert {each.path for each in anna.everything()} == {"red.png", "green.png"}
        assert paths(anna.find(stored("red.png"))) == ["green.png"]
        assert 'with_tenant("anna")' in anna.explain("red").python
        assert 'tenant: "anna"' in str(anna.explain("red").graphql)
        with pytest.raises(InputError, match=r"no image blue\.png"):
            anna.find(stored("blue.png"))


@pytest.mark.parametrize(
    ("what", "asked", "said"),
    [
        ("owl", {"limit": 6000, "offset": 6000}, "10000 best"),
        ("owl", {"properties": ["siz"]}, "did you mean size"),
        ("owl", {"where": "lable=fruit"}, "did you mean label"),
        ("owl", {"where": "label=frut"}, "did you mean fruit"),
        (text("owl") - "owl", {}, "cancel each other out"),
        (image(OWL), {"captions": 0.5}, "searched by words"),
        (image("nowhere.png"), {}, "nowhere.png: No such file"),
        (image("http://127.0.0.1:1/owl.png"), {}, "http://127.0.0.1:1/owl.png: cannot be downloaded"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(found: ImageSearch, what: What, asked: Asked, said: str) -> None:
    with pytest.raises(InputError, match=said):
        found.find(what, **asked)


def test_asyncio_finds_the_same_and_many_at_once(stack: Stack, found: ImageSearch, examples: str) -> None:
    async def ask() -> None:
        where = (stack.weaviate_url, stack.grpc_port, stack.api_key, stack.vectorizer_url, examples)
        async with await AsyncImageSearch.connect(*where) as search:
            for what, asked in QUESTIONS:
                asked = asked | Asked(vectors=False)
                assert await search.find(what, **asked) == found.find(what, **asked)
            assert await search.groups("owl") == found.groups("owl")
            assert [page async for page in search.pages("owl", 150)] == list(found.pages("owl", 150))
            fruit = list(found.everything(where="label=fruit"))
            assert [each async for each in search.everything(where="label=fruit")] == fruit
            assert str(await search.explain("owl")) == str(found.explain("owl"))
            assert await search.by_image(OWL, 1) == found.by_image(OWL, 1)
            assert await search.by_text("owl", 1) == found.by_text("owl", 1)
            words = [f"{word} {n}" for n in range(5) for word in ("owl", "dog", "car", "pear")]
            at_once = await asyncio.gather(*(search.find(word, limit=3) for word in words))
            assert at_once == [found.find(word, limit=3) for word in words]

    asyncio.run(ask())


def test_hits_are_in_order(found: ImageSearch) -> None:
    for what, asked in QUESTIONS[:4]:
        assert all(one.distance <= two.distance for one, two in pairwise(found.find(what, **asked)))
