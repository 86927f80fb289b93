"""Searches over colours: what is sent, and what is made of the answers."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weaviate.classes.config import DataType

from clip_vectorizer.errors import InputError, Mismatch, VectorizerError
from clip_vectorizer.query import Hit, ImageSearch, Move, image, stored, text, vector
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.calls import embed_step
from clip_vectorizer.query.search.searches import decode_group_name
from clip_vectorizer.query.search.steps import SearchStep, WeaviateCall, run_flow_async
from tests.query.fakes import INFO, SEARCHED, FakeImages, FakeSidecar, picture
from tests.query.zeroshot_fakes import shelf

MANY = tuple(f"{colour} {number}.png" for number in range(9) for colour in ("red", "green", "blue", "white"))


def search_in(images: FakeImages | None = None, sidecar: FakeSidecar | None = None) -> ImageSearch:
    return ImageSearch(INFO, sidecar or FakeSidecar(), images or FakeImages(), shelf)


def paths(hits: list[Hit]) -> list[str]:
    return [hit.path for hit in hits]


def sent(what: Any, **asked: Any) -> WeaviateCall:
    """The last call of a search."""
    images = FakeImages()
    search_in(images).find(what, **asked)
    return images.calls[-1]


def test_one_text_is_left_to_weaviate_and_several_parts_are_blended_here() -> None:
    assert sent("red").method == sent(2 * text("red")).method == "near_text"
    call = sent(text("red") + image(picture("green")) - 0.5 * vector([0, 0, 2]))
    np.testing.assert_allclose(call.arguments["near_vector"], np.array([2, 2, -1]) / 3, atol=1e-6)
    assert all(type(number) is float for number in call.arguments["near_vector"])


def test_all_texts_are_embedded_by_one_request_and_each_once() -> None:
    sidecar = FakeSidecar()
    search_in(sidecar=sidecar).find(text("red") + "green" - 0.5 * text("red"), move_to=Move("blue"))
    assert sidecar.texts == ["red", "green", "blue"]


def test_a_move_without_force_is_none() -> None:
    assert "move_to" not in sent("red", move_to=Move("blue", 0)).arguments


def test_every_call_names_the_vector_that_is_searched() -> None:
    for call in (sent("red"), sent(text("red") + "blue"), sent(stored("red.png"))):
        assert call.arguments["target_vector"] == "clip"


def test_a_stored_image_is_found_by_its_path_and_left_out() -> None:
    images = FakeImages()
    search_in(images).find(stored("green.png"))
    looked_up, search = images.calls
    assert (looked_up.method, search.method) == ("fetch_objects", "near_vector")
    assert search.arguments["near_vector"] == [0, 1, 0]
    assert str(search.arguments["filters"].operator.value) == "NotEqual"
    assert "filters" not in sent(stored("green.png", itself=True)).arguments


def test_a_stored_image_that_is_not_there_is_answered_with_a_near_one() -> None:
    with pytest.raises(InputError, match=r"holds no image gren\.png; did you mean green\.png\?"):
        search_in().find(stored("gren.png"))


def test_a_stored_image_without_a_vector_is_told() -> None:
    class Blind(FakeImages):
        def ask(self, call: WeaviateCall) -> Any:
            answer = super().ask(call)
            for row in answer.objects:
                row.vector = {}
            return answer

    with pytest.raises(VectorizerError, match=r"red\.png is stored without a vector; run clip-ingest on it again"):
        search_in(Blind()).find(stored("red.png"))


def test_what_cannot_be_asked_is_refused_before_anything_is_embedded() -> None:
    sidecar = FakeSidecar()
    search = search_in(sidecar=sidecar)
    for asked in ({"properties": ["siz"]}, {"where": "lable=red"}, {"limit": 0}):
        with pytest.raises(InputError):
            search.find(text("red") + "blue", **asked)  # type: ignore[arg-type]
    assert sidecar.texts == []


def test_a_vector_of_another_model_is_a_mismatch_within_a_mixture_too() -> None:
    with pytest.raises(Mismatch, match=r"\(2,\)"):
        search_in().find(text("red") + vector([1, 0]))


def test_captions_need_words_and_give_them_their_share() -> None:
    with pytest.raises(InputError, match="searched by words"):
        search_in().find(image(picture("red")), captions=0.5)
    plan = search_in().explain(text("red") + image(picture("blue")) - "green", captions=0.3)
    assert plan.call.method == "hybrid"
    assert (plan.call.arguments["query"], plan.call.arguments["alpha"]) == ("red", 0.7)
    assert plan.call.arguments["query_properties"] == ["caption"]


def test_diversity_chooses_among_more_and_begins_at_the_first() -> None:
    arguments = search_in().explain("red", diversity=0.25, limit=5, offset=10).call.arguments
    assert arguments["limit"] == 8 * 15 and "offset" not in arguments
    assert (arguments["diversity_selection"].limit, arguments["diversity_selection"].balance) == (15, 0.75)
    assert search_in().explain("red", diversity=0.25, limit=9_000).call.arguments["limit"] == 10_000


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 12), st.booleans(), st.sampled_from([1, 2, 5]))
def test_pages_are_the_one_result_cut(limit: int, offset: int, size: int, fold: bool, twins: int) -> None:
    hashes = {path: path.split()[0] + str(int(path.split()[1][0]) // twins) for path in MANY}
    search = search_in(FakeImages(MANY, hashes=hashes))
    whole = search.find("red blue", limit=200, fold=fold)
    assert len(whole) == (len(set(hashes.values())) if fold else len(MANY))
    assert search.find("red blue", limit=limit, offset=offset, fold=fold) == whole[offset : offset + limit]
    pages = list(search.pages("red blue", size, limit=limit, offset=offset, fold=fold))
    assert list(chain(*pages)) == whole[offset : offset + limit]
    assert all(len(page) == size for page in pages[:-1])


def test_equal_images_are_one_hit_with_all_its_copies() -> None:
    hashes = {path: path.split()[0] for path in MANY}  # nine of each
    first, *others = search_in(FakeImages(MANY, hashes=hashes)).find("red", limit=2, fold=True)
    assert len(others) == 1 and len(first.copies) == 8
    assert sorted([first.path, *first.copies]) == sorted(path for path in MANY if path.startswith("red"))


def test_pages_embed_what_they_look_for_once() -> None:
    sidecar = FakeSidecar()
    assert len(list(search_in(FakeImages(MANY), sidecar).pages(text("red") + "blue", 10))) == 4
    assert sidecar.texts == ["red", "blue"]


def test_everything_comes_page_by_page() -> None:
    images = FakeImages(MANY)
    assert [each.path for each in search_in(images).everything()] == list(MANY)
    assert "after" not in images.calls[0].arguments and "after" in images.calls[1].arguments
    filtered = list(search_in(images).everything(where="label=colours"))
    assert [each.path for each in filtered] == list(MANY)
    assert "after" not in images.calls[-1].arguments and "sort" in images.calls[-1].arguments


def test_whole_files_are_listed_a_few_at_a_time() -> None:
    images = FakeImages(searched=replace(SEARCHED, properties={**SEARCHED.properties, "image": DataType.BLOB}))
    limits = []
    for asked in ({}, {"thumbnails": True}, {"properties": ["image"]}):
        next(search_in(images).everything(**asked))  # type: ignore[arg-type]
        limits.append(images.calls[-1].arguments["limit"])
    assert limits == [1000, 200, 10]


def test_a_place_to_go_on_from_is_an_id() -> None:
    with pytest.raises(InputError, match="expected the id"):
        next(search_in().everything(after="red.png"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"by": "labels"}, "did you mean label"),
        ({"per_group": 0}, "per_group 0"),
        ({"groups": 0}, "groups 0"),
        ({"diversity": 0.5}, "leave diversity away"),
        ({"offset": 5}, "leave offset and auto_limit away"),
    ],
)
def test_what_cannot_be_grouped_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        search_in().groups("red", **asked)


def test_one_search_may_be_answered_by_an_event_loop() -> None:
    search, images = search_in(), FakeImages()

    async def answer(step: SearchStep) -> Any:
        return images.ask(step) if isinstance(step, WeaviateCall) else embed_step(step, FakeSidecar())

    flow = run_flow_async(search.searches.find(text("red") + "blue", limit=2), answer)
    with pytest.raises(StopIteration) as end:
        flow.send(None)
    assert end.value.value == search.find(text("red") + "blue", limit=2)


@pytest.mark.parametrize("consistency", ["most", "quorum"])
def test_a_consistency_that_there_is_not_is_refused(consistency: str) -> None:
    with pytest.raises(InputError, match="there are ONE, QUORUM, ALL"):
        ImageSearch.connect(consistency=consistency)


Ask = Callable[[ImageSearch], object]


@pytest.mark.parametrize(
    "ask",
    [lambda s: s.find("red"), lambda s: s.groups("red"), lambda s: list(s.everything()), lambda s: s.explain("a")],
)
def test_without_a_collection_nothing_is_searched(ask: Ask) -> None:
    with pytest.raises(InputError, match="connected without a collection"):
        ask(ImageSearch(INFO, FakeSidecar(), None, shelf))


def test_where_weaviate_cannot_embed_a_move_happens_here() -> None:
    images = FakeImages(searched=replace(SEARCHED, by_module=False))
    asked: SearchArguments = {"move_to": Move("blue", 1)}
    assert paths(search_in(images).find("red", **asked))[-1] == "green.png"
    np.testing.assert_allclose(images.calls[-1].arguments["near_vector"], [0.5, 0, 0.5])


def test_pages_begin_within_what_weaviate_finds() -> None:
    with pytest.raises(InputError, match="offset 10000 and limit 1 ask for more"):
        list(search_in().pages("red", offset=10_000))
    with pytest.raises(InputError, match="offset '5': expected"):
        list(search_in().pages("red", offset="5"))  # type: ignore[arg-type]


def test_files_are_nothing_to_group_by() -> None:
    searched = replace(SEARCHED, properties={**SEARCHED.properties, "thumbnail": DataType.BLOB})
    with pytest.raises(InputError, match="holds files"):
        search_in(FakeImages(searched=searched)).groups("red", by="thumbnail")


def test_a_closed_search_says_so() -> None:
    search = search_in()
    search.close()
    for ask in (search.find, search.groups, search.explain):
        with pytest.raises(InputError, match="closed"):
            ask("red")


def test_many_threads_may_search_at_once() -> None:
    search = search_in()
    what = (text("red") + "green", "blue", stored("red.png"))
    alone = [search.find(each) for each in what]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search.find, what * 50)) == alone * 50


def test_what_only_the_words_found_is_not_less_near_than_was_asked() -> None:
    search = search_in(FakeImages(MANY))
    every = search.find("red", captions=0.5, limit=36)
    near = search.find("red", captions=0.5, limit=36, min_similarity=0.5)
    assert near == [hit for hit in every if hit.similarity >= 0.5] and 0 < len(near) < len(every)
    assert "left out here" in str(search.explain("red", captions=0.5, min_similarity=0.5))


@pytest.mark.parametrize("name", ["fruit", 'rock & "roll"', "<b>", "a\\b", "a\nb", "\u202e", "\u9999"])
def test_a_group_has_the_name_that_its_images_have(name: str) -> None:
    weaviates = json.dumps(name)[1:-1].replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    assert decode_group_name(weaviates) == name and decode_group_name('a"b') == 'a"b'
