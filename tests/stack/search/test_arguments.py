"""The arguments of a search: filters, groups, diversity, pages, alpha, duplicates, tenants."""

from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
from weaviate.classes.query import Filter

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Hit, ImageSearch, Query
from clip_vectorizer.vectors import unit
from tests.stack.conftest import New
from tests.stack.images import png
from tests.stack.search.stored import OWL, ROUNDING, SEARCHES, StoredExamples, connect, paths
from tests.stack.storing import GREEN, RED, many
from tests.stack.support import Stack

pytestmark = pytest.mark.stack


def test_only_images_that_pass_the_filter_are_found(found: ImageSearch, stored: StoredExamples) -> None:
    word_d = found.sidecar.embed_texts(["banana"])[0]
    expected = [path for path in stored.nearest(word_d, len(stored.images)) if path.startswith("fruit/")]
    assert paths(found.find("banana", limit=50, filters="label=fruit")) == expected
    assert paths(found.find("banana", limit=50, filters=Filter.by_property("label").equal("fruit"))) == expected
    small = {each.path for each in stored.images if each.properties["size"] < 2500}
    hits = found.find("banana", limit=50, filters=["label=fruit", "size<2500"])
    assert paths(hits) == [path for path in expected if path in small]


def test_groups_hold_the_nearest_of_each_label(found: ImageSearch, stored: StoredExamples) -> None:
    nearest = stored.nearest(found.sidecar.embed_texts(["bird"])[0], len(stored.images))
    labels = list(dict.fromkeys(path.split("/")[0] for path in nearest))
    groups = found.groups("bird", by="label", per_group=2, groups=4)
    assert [group.name for group in groups] == labels[:4]
    for group in groups:
        assert paths(list(group.hits)) == [path for path in nearest if path.startswith(f"{group.name}/")][:2]
    assert groups[0].hits[0] == found.find("bird", limit=1)[0]


def test_more_diversity_makes_hits_less_alike(found: ImageSearch) -> None:
    plain = found.find("a face", limit=8, include_vector=True)
    assert paths(found.find("a face", limit=8, diversity=0)) == paths(plain)
    likeness = [alike(found.find("a face", limit=8, include_vector=True, diversity=share)) for share in (0, 0.5, 1)]
    assert likeness == sorted(likeness, reverse=True) and likeness[0] > likeness[2]
    mixed = paths(found.find("a face", limit=8, diversity=0.5))
    assert paths(found.find("a face", limit=3, diversity=0.5)) == mixed[:3]


def alike(hits: list[Hit]) -> float:
    vectors_nd = np.stack([hit.vector for hit in hits if hit.vector is not None])
    return float((vectors_nd @ vectors_nd.T).mean())


def test_pages_are_slices_of_one_result(found: ImageSearch, stored: StoredExamples) -> None:
    whole = found.find("banana", limit=len(stored.images))
    pages = list(found.pages("banana", size=100))
    assert [len(page) for page in pages] == [100, 100, 100, len(whole) - 300]
    assert sorted(paths(list(chain(*pages)))) == sorted(paths(whole)) == sorted(each.path for each in stored.images)
    assert [len(page) for page in found.pages("banana", size=7, offset=5, limit=20)] == [7, 7, 6]
    assert found.find("banana", limit=10, offset=10) == whole[10:20]


def test_iterate_takes_filters_and_continues_after_an_id(found: ImageSearch, stored: StoredExamples) -> None:
    middle = stored.images[len(stored.images) // 2]
    assert [each.id for each in found.iterate(after=middle.id)] == [
        each.id for each in stored.images[len(stored.images) // 2 + 1 :]
    ]
    fruit = list(found.iterate(filters="label=fruit", include_thumbnail=True))
    assert [each.path for each in fruit] == sorted(each.path for each in stored.images if each.label == "fruit")
    assert all(each.thumbnail is not None and each.thumbnail.startswith(b"\xff\xd8") for each in fruit)
    assert list(found.iterate(after=fruit[3].id, filters="label=fruit", include_thumbnail=True)) == fruit[4:]
    with pytest.raises(InputError, match="so none comes after it"):
        next(found.iterate(after="00000000-0000-0000-0000-000000000000"))


def test_results_can_end_at_a_jump_or_at_a_similarity(found: ImageSearch, stored: StoredExamples) -> None:
    assert 0 < len(found.find("banana", limit=300, auto_limit=1)) < 300
    cosines_n = stored.cosines(found.sidecar.embed_texts(["banana"])[0])
    assert len(found.find("banana", limit=300, min_similarity=0.3)) == (cosines_n >= 0.3).sum()


def test_a_hybrid_search_finds_what_the_vector_alone_does_not(found: ImageSearch, stored: StoredExamples) -> None:
    best = found.find("violin", limit=5, alpha=0.3)[0]
    assert best.path == "musical instruments/violin.png" and best.score is not None
    word_d = found.sidecar.embed_texts(["violin"])[0]
    for hit in found.find("violin", limit=20, alpha=0.5, min_similarity=0.1):
        assert hit.similarity == pytest.approx(float(unit(stored.vector(hit.path)) @ word_d), abs=ROUNDING)
        assert hit.similarity >= 0.1 and hit.vector is None
    assert paths(found.find("violin", alpha=0.0)) == ["musical instruments/violin.png"]
    assert found.groups("violin", alpha=0.3)[0].hits[0].similarity == pytest.approx(best.similarity)


def test_hits_have_the_requested_fields(found: ImageSearch, stored: StoredExamples) -> None:
    [hit] = found.by_image(
        OWL, limit=1, include_vector=True, include_thumbnail=True, return_properties=["size", "mime"]
    )
    assert hit.vector is not None and hit.thumbnail is not None
    np.testing.assert_array_equal(hit.vector, stored.vector("birds/owl.png"))
    assert hit.thumbnail.startswith(b"\xff\xd8")
    assert dict(hit.properties) == {"size": OWL.stat().st_size, "mime": "image/png"}


def test_equal_images_become_one_hit_that_lists_its_copies(stack: Stack, new: New) -> None:
    place = new(embed_here=True)
    pictures = {f"red-{n}.png": RED for n in range(7)} | {f"green-{n}.png": GREEN for n in range(2)}
    place.ingest(pictures | many(12))
    with connect(stack, place.collection) as search:
        first, second, third = search.by_image(RED, limit=3, deduplicate=True)
        assert sorted([first.path, *first.copies]) == [f"red-{n}.png" for n in range(7)]
        everything = search.by_image(RED, limit=50, deduplicate=True)
        assert [len(hit.copies) for hit in everything if hit.copies] == [6, 1] and len(everything) == 14
        assert [first, second, third] == everything[:3]
        assert list(chain(*search.pages(RED, size=4, deduplicate=True))) == everything
        assert search.by_image(RED, limit=2, offset=3, deduplicate=True) == everything[3:5]
        assert search.groups(RED, by="mime", deduplicate=True, per_group=9)[0].hits[0].copies


def test_a_search_sees_the_images_of_its_tenant_only(stack: Stack, new: New) -> None:
    place = new(tenant="anna")
    place.ingest({"red.png": RED, "green.png": GREEN})
    replace(place, tenant="bert").ingest({"blue.png": png((0, 0, 200))})
    with connect(stack, place.collection, tenant="anna", consistency_level="QUORUM") as anna:
        assert paths(anna.find("something red")) != []
        assert {hit.path for hit in anna.find(RED)} == {"red.png", "green.png"}
        assert {each.path for each in anna.iterate()} == {"red.png", "green.png"}
        assert paths(anna.find(Query.stored("red.png"))) == ["green.png"]
        assert 'with_tenant("anna")' in anna.explain("red").python
        assert 'tenant: "anna"' in str(anna.explain("red").graphql)
        with pytest.raises(InputError, match=r"no image blue\.png"):
            anna.find(Query.stored("blue.png"))


def test_hits_are_in_order(found: ImageSearch) -> None:
    for what, arguments in SEARCHES[:4]:
        assert all(one.distance <= two.distance for one, two in pairwise(found.find(what, **arguments)))
