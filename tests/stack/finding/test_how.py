"""How it is asked: filters, groups, diversity, pages, captions, copies, tenants."""

from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
from weaviate.classes.query import Filter

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import (
    Hit,
    ImageSearch,
    stored,
)
from clip_vectorizer.vectors import unit
from tests.stack.conftest import New
from tests.stack.finding.held import OWL, QUESTIONS, ROUNDING, Held, connect, paths
from tests.stack.images import png
from tests.stack.storing import GREEN, RED, many
from tests.stack.support import Stack

pytestmark = pytest.mark.stack


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


def test_hits_are_in_order(found: ImageSearch) -> None:
    for what, asked in QUESTIONS[:4]:
        assert all(one.distance <= two.distance for one, two in pairwise(found.find(what, **asked)))
