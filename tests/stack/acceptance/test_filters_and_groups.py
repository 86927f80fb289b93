"""Narrowing a search: filters, groups, diversity, duplicates, alpha, a least similarity."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import ImageSearch
from tests.stack.acceptance.gallery import COPY, GALLERY, PATHS, WORD
from tests.stack.acceptance.in_process import Command, paths, same_answer
from tests.stack.support import EXAMPLES

BANANA, GUITAR = EXAMPLES / "fruit" / "banana.png", EXAMPLES / "musical instruments" / "guitar.png"


pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("label=fruit", lambda path, *_: path.startswith("fruit/")),
        ("label!=fruit", lambda path, *_: not path.startswith("fruit/")),
        ("label=fruit|hearts", lambda path, *_: path.startswith(("fruit/", "hearts/"))),
        ("price<3.5", lambda _, price, *__: price is not None and price < 3.5),
        ("price<=3.5", lambda _, price, *__: price is not None and price <= 3.5),
        ("price>60", lambda _, price, *__: price is not None and price > 60),
        ("price>=60", lambda _, price, *__: price is not None and price >= 60),
        ("path~*apple*", lambda path, *_: "apple" in path),
        ("made>=2024-08-01", lambda _, __, made: made is not None and made >= "2024-08"),
        (["label=fruit", "price>2"], lambda path, price, _: path.startswith("fruit/") and price > 2),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
def test_a_filter_passes_exactly_the_matching_images(
    clip_search: Command, pictures: ImageSearch, where: str | list[str], holds: Callable[..., bool]
) -> None:
    wanted = {path for path in PATHS if holds(path, *facts(path))}
    assert set(paths(pictures.find("a thing", limit=100, filters=where))) == wanted
    conditions = [where] if isinstance(where, str) else where
    options = [word for condition in conditions for word in ("--where", condition)]
    assert {row["path"] for row in clip_search("a thing", *options, "--limit", 100, "--json").rows} == wanted


def facts(path: str) -> tuple[float | None, str | None]:
    price, _, made = GALLERY.get(path.removesuffix(".png"), (None, None, None))
    return price, made


def test_groups_hold_the_nearest_of_each_label_and_the_nearest_group_is_first(
    clip_search: Command, pictures: ImageSearch
) -> None:
    groups = pictures.groups("red apple", by="label", per_group=2, groups=3)
    assert len({group.name for group in groups}) == 3
    assert [hit.label for group in groups for hit in group.hits] == [group.name for group in groups for _ in group.hits]
    nearest = [group.hits[0].similarity for group in groups]
    assert nearest == sorted(nearest, reverse=True)
    for group in groups:
        within = pictures.find("red apple", limit=2, filters=f"label={group.name}")
        assert [hit.similarity for hit in group.hits] == pytest.approx([hit.similarity for hit in within], abs=2e-6)
    rows = clip_search("red apple", "--group-by", "label", "--per-group", 2, "--json").rows
    assert {row["path"] for row in rows} >= {hit.path for group in groups for hit in group.hits}


def test_diversity_returns_hits_that_are_less_alike(search: ImageSearch, encoder: VectorizerClient) -> None:
    def likeness(**arguments: Any) -> float:
        hits = search.find("heart", limit=8, include_vector=True, **arguments)
        assert len({hit.id for hit in hits}) == 8
        rows = np.stack([hit.vector for hit in hits])
        return float((rows @ rows.T)[np.triu_indices(8, 1)].mean())

    assert likeness(diversity=0.0) == pytest.approx(likeness(), abs=0.02)
    assert likeness(diversity=0.7) < likeness() - 0.05


def test_equal_images_become_one_hit_that_names_its_copies(clip_search: Command, pictures: ImageSearch) -> None:
    both = {"fruit/banana.png", COPY}
    assert set(paths(pictures.by_image(BANANA, limit=2))) == both
    first, second = pictures.by_image(BANANA, limit=2, deduplicate=True)
    assert {first.path, *first.copies} == both
    assert second.path not in both and second.copies == ()
    row, _ = clip_search("--image", BANANA, "--dedupe", "--limit", 2, "--json").rows
    assert {row["path"], *row["copies"]} == both


def test_alpha_weighs_the_vector_against_the_words(clip_search: Command, pictures: ImageSearch) -> None:
    [hit] = pictures.find(WORD, limit=1, alpha=0.0)
    assert (hit.path, hit.caption) == ("animals/horse.png", f"a {WORD} at rest")
    assert hit.score is not None and hit.score > 0
    assert same_answer(pictures.find("banana", limit=13, alpha=1.0), pictures.find("banana", limit=13))
    assert clip_search(WORD, "--captions", 1, "--limit", 1, "--json").rows[0]["path"] == "animals/horse.png"


def test_min_similarity_is_the_exact_limit(clip_search: Command, pictures: ImageSearch) -> None:
    ranked = pictures.find("red apple", limit=13)
    cut = (ranked[3].similarity + ranked[4].similarity) / 2
    assert same_answer(pictures.find("red apple", limit=13, min_similarity=cut), ranked[:4])
    assert len(clip_search("red apple", "--min-similarity", cut, "--json").rows) == 4


def test_auto_limit_ends_at_a_jump_of_the_similarities(pictures: ImageSearch) -> None:
    ranked = pictures.by_image(BANANA, limit=13)  # itself and its copy, then a gap
    ended = pictures.by_image(BANANA, limit=13, auto_limit=1)
    assert 2 <= len(ended) < 13
    assert same_answer(ended, ranked[: len(ended)])


def test_offset_and_pages_continue_where_the_last_one_ended(clip_search: Command, pictures: ImageSearch) -> None:
    whole = pictures.find("guitar", limit=13)
    assert same_answer(pictures.find("guitar", limit=4, offset=5), whole[5:9])
    pages = list(pictures.pages("guitar", size=5))
    assert [len(page) for page in pages] == [5, 5, 3]
    assert same_answer([hit for page in pages for hit in page], whole)
    rows = clip_search("guitar", "--offset", 5, "--limit", 4, "--json").rows
    assert [row["similarity"] for row in rows] == pytest.approx([hit.similarity for hit in whole[5:9]], abs=2e-6)


def test_iterate_yields_every_image_once_and_continues_after_any(pictures: ImageSearch) -> None:
    listed = list(pictures.iterate())
    assert sorted(one.path for one in listed) == sorted(PATHS)
    rest = list(pictures.iterate(after=listed[4].id))
    assert [one.path for one in rest] == [one.path for one in listed[5:]]
