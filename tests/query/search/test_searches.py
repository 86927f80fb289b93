"""Searches over colours: the calls that are sent, and the hits made of the answers."""

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
from clip_vectorizer.query import Hit, ImageSearch, Move, Query
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.calls import SearchStep, WeaviateCall, embed_step, run_flow_async
from clip_vectorizer.query.search.searches import decode_group_name
from tests.query.fakes import INFO, TARGET, FakeImages, FakeSidecar, picture
from tests.query.zeroshot_fakes import stores

MANY = tuple(f"{colour} {number}.png" for number in range(9) for colour in ("red", "green", "blue", "white"))


def build_search(images: FakeImages | None = None, sidecar: FakeSidecar | None = None) -> ImageSearch:
    return ImageSearch(INFO, sidecar or FakeSidecar(), images or FakeImages(), stores)


def paths(hits: list[Hit]) -> list[str]:
    return [hit.path for hit in hits]


def last_call(what: Any, **arguments: Any) -> WeaviateCall:
    """Return the last call of a search."""
    images = FakeImages()
    build_search(images).find(what, **arguments)
    return images.calls[-1]


def test_weaviate_embeds_one_text_and_several_parts_are_blended_here() -> None:
    assert last_call("red").method == last_call(2 * Query.text("red")).method == "near_text"
    call = last_call(Query.text("red") + Query.image(picture("green")) - 0.5 * Query.vector([0, 0, 2]))
    np.testing.assert_allclose(call.arguments["near_vector"], np.array([2, 2, -1]) / 3, atol=1e-6)
    assert all(type(number) is float for number in call.arguments["near_vector"])


def test_all_texts_are_embedded_by_one_request_each_once() -> None:
    sidecar = FakeSidecar()
    build_search(sidecar=sidecar).find(Query.text("red") + "green" - 0.5 * Query.text("red"), move_to=Move("blue"))
    assert sidecar.texts == ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("what", "arguments"),
    [
        ("red", {}),
        (Query.image(picture("green")) + "red", {}),
        (Query.image(picture("green")), {"move_to": Move("red")}),
        (Query.text("red"), {"alpha": 0.5}),
    ],
)
def test_words_cannot_be_searched_with_an_image_only_model(what: Any, arguments: Any) -> None:
    images = FakeImages()
    search = ImageSearch(replace(INFO, texts=False), FakeSidecar(), images, stores)
    sentence = "'red' cannot be searched with hash: it is an image-only model; search by image .--image FILE, --like"
    with pytest.raises(InputError, match=sentence):
        search.find(what, **arguments)
    assert images.calls == []
    assert search.find(Query.image(picture("green")))


def test_words_have_no_vector_of_an_image_only_model() -> None:
    sidecar, images = FakeSidecar(), FakeImages()
    search = ImageSearch(replace(INFO, texts=False), sidecar, images, stores)
    for what in ("red", Query.image(picture("green")) + "red", Query.stored("red.png") - Query.text("red")):
        with pytest.raises(InputError, match="'red' cannot be searched with hash: it is an image-only model"):
            search.embed(what)
    assert images.calls == [] and sidecar.texts == []
    assert search.embed(Query.image(picture("green"))).shape == (INFO.dimension,)


def test_a_move_without_force_is_not_sent() -> None:
    assert "move_to" not in last_call("red", move_to=Move("blue", 0)).arguments


def test_every_call_names_the_vector_that_is_searched() -> None:
    for call in (last_call("red"), last_call(Query.text("red") + "blue"), last_call(Query.stored("red.png"))):
        assert call.arguments["target_vector"] == "clip"


def test_a_stored_image_is_read_by_its_path_and_excluded() -> None:
    images = FakeImages()
    build_search(images).find(Query.stored("green.png"))
    looked_up, search = images.calls
    assert (looked_up.method, search.method) == ("fetch_objects", "near_vector")
    assert search.arguments["near_vector"] == [0, 1, 0]
    assert str(search.arguments["filters"].operator.value) == "NotEqual"
    assert "filters" not in last_call(Query.stored("green.png", include_self=True)).arguments


def test_the_error_for_a_missing_stored_image_names_a_near_path() -> None:
    with pytest.raises(InputError, match=r"holds no image gren\.png; did you mean green\.png\?"):
        build_search().find(Query.stored("gren.png"))


def test_a_stored_image_without_a_vector_is_an_error() -> None:
    class Blind(FakeImages):
        def execute(self, call: WeaviateCall) -> Any:
            answer = super().execute(call)
            for row in answer.objects:
                row.vector = {}
            return answer

    with pytest.raises(VectorizerError, match=r"red\.png is stored without a vector; run clip-ingest on it again"):
        build_search(Blind()).find(Query.stored("red.png"))


def test_bad_arguments_are_refused_before_anything_is_embedded() -> None:
    sidecar = FakeSidecar()
    search = build_search(sidecar=sidecar)
    for arguments in ({"return_properties": ["siz"]}, {"filters": "lable=red"}, {"limit": 0}):
        with pytest.raises(InputError):
            search.find(Query.text("red") + "blue", **arguments)  # type: ignore[arg-type]
    assert sidecar.texts == []


def test_a_vector_of_another_model_is_a_mismatch_in_a_sum_too() -> None:
    with pytest.raises(Mismatch, match=r"\(2,\)"):
        build_search().find(Query.text("red") + Query.vector([1, 0]))


def test_a_hybrid_search_needs_words_and_sends_alpha() -> None:
    with pytest.raises(InputError, match="needs words: add a text to the query, or remove alpha"):
        build_search().find(Query.image(picture("red")), alpha=0.5)
    plan = build_search().explain(Query.text("red") + Query.image(picture("blue")) - "green", alpha=0.7)
    assert plan.call.method == "hybrid"
    assert (plan.call.arguments["query"], plan.call.arguments["alpha"]) == ("red", 0.7)
    assert plan.call.arguments["query_properties"] == ["caption"]


def test_diversity_fetches_more_and_starts_at_the_first_result() -> None:
    arguments = build_search().explain("red", diversity=0.25, limit=5, offset=10).call.arguments
    assert arguments["limit"] == 8 * 15 and "offset" not in arguments
    assert (arguments["diversity_selection"].limit, arguments["diversity_selection"].balance) == (15, 0.75)
    assert build_search().explain("red", diversity=0.25, limit=9_000).call.arguments["limit"] == 10_000


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 12), st.booleans(), st.sampled_from([1, 2, 5]))
def test_pages_are_slices_of_one_result(limit: int, offset: int, size: int, deduplicate: bool, twins: int) -> None:
    hashes = {path: path.split()[0] + str(int(path.split()[1][0]) // twins) for path in MANY}
    search = build_search(FakeImages(MANY, hashes=hashes))
    whole = search.find("red blue", limit=200, deduplicate=deduplicate)
    assert len(whole) == (len(set(hashes.values())) if deduplicate else len(MANY))
    assert (
        search.find("red blue", limit=limit, offset=offset, deduplicate=deduplicate) == whole[offset : offset + limit]
    )
    pages = list(search.pages("red blue", size, limit=limit, offset=offset, deduplicate=deduplicate))
    assert list(chain(*pages)) == whole[offset : offset + limit]
    assert all(len(page) == size for page in pages[:-1])


def test_equal_images_are_one_hit_with_all_its_copies() -> None:
    hashes = {path: path.split()[0] for path in MANY}  # nine of each
    first, *others = build_search(FakeImages(MANY, hashes=hashes)).find("red", limit=2, deduplicate=True)
    assert len(others) == 1 and len(first.copies) == 8
    assert sorted([first.path, *first.copies]) == sorted(path for path in MANY if path.startswith("red"))


def test_pages_embed_their_query_once() -> None:
    sidecar = FakeSidecar()
    assert len(list(build_search(FakeImages(MANY), sidecar).pages(Query.text("red") + "blue", 10))) == 4
    assert sidecar.texts == ["red", "blue"]


def test_iterate_reads_page_by_page() -> None:
    images = FakeImages(MANY)
    assert [each.path for each in build_search(images).iterate()] == list(MANY)
    assert "after" not in images.calls[0].arguments and "after" in images.calls[1].arguments
    filtered = list(build_search(images).iterate(filters="label=colours"))
    assert [each.path for each in filtered] == list(MANY)
    assert "after" not in images.calls[-1].arguments and "sort" in images.calls[-1].arguments


def test_whole_files_are_listed_a_few_at_a_time() -> None:
    images = FakeImages(target=replace(TARGET, properties={**TARGET.properties, "image": DataType.BLOB}))
    limits = []
    for arguments in ({}, {"include_thumbnail": True}, {"return_properties": ["image"]}):
        next(build_search(images).iterate(**arguments))  # type: ignore[arg-type]
        limits.append(images.calls[-1].arguments["limit"])
    assert limits == [1000, 200, 10]


def test_iterate_continues_after_an_id_only() -> None:
    with pytest.raises(InputError, match="expected the id"):
        next(build_search().iterate(after="red.png"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"by": "labels"}, "did you mean label"),
        ({"per_group": 0}, "per_group 0"),
        ({"groups": 0}, "groups 0"),
        ({"diversity": 0.5}, "remove diversity"),
        ({"offset": 5}, "remove offset and auto_limit"),
    ],
)
def test_bad_groups_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        build_search().groups("red", **arguments)


def test_a_flow_can_run_in_an_event_loop() -> None:
    search, images = build_search(), FakeImages()

    async def run_step(step: SearchStep) -> Any:
        return images.execute(step) if isinstance(step, WeaviateCall) else embed_step(step, FakeSidecar())

    flow = run_flow_async(search.searches.find(Query.text("red") + "blue", limit=2), run_step)
    with pytest.raises(StopIteration) as end:
        flow.send(None)
    assert end.value.value == search.find(Query.text("red") + "blue", limit=2)


@pytest.mark.parametrize("level", ["most", "quorum"])
def test_an_unknown_consistency_level_is_refused(level: str) -> None:
    with pytest.raises(InputError, match="there are ONE, QUORUM, ALL"):
        ImageSearch.connect(consistency_level=level)


UseSearch = Callable[[ImageSearch], object]


@pytest.mark.parametrize(
    "use",
    [lambda s: s.find("red"), lambda s: s.groups("red"), lambda s: list(s.iterate()), lambda s: s.explain("a")],
)
def test_without_a_collection_every_search_is_an_error(use: UseSearch) -> None:
    with pytest.raises(InputError, match="connected without a collection"):
        use(ImageSearch(INFO, FakeSidecar(), None, stores))


def test_a_move_is_computed_here_where_weaviate_cannot_embed() -> None:
    images = FakeImages(target=replace(TARGET, by_module=False))
    arguments: SearchArguments = {"move_to": Move("blue", 1)}
    assert paths(build_search(images).find("red", **arguments))[-1] == "green.png"
    np.testing.assert_allclose(images.calls[-1].arguments["near_vector"], [0.5, 0, 0.5])


def test_pages_start_within_weaviates_limit() -> None:
    with pytest.raises(InputError, match="offset 10000 and limit 1 reach past"):
        list(build_search().pages("red", offset=10_000))
    with pytest.raises(InputError, match="offset '5': expected"):
        list(build_search().pages("red", offset="5"))  # type: ignore[arg-type]


def test_blobs_cannot_group() -> None:
    target = replace(TARGET, properties={**TARGET.properties, "thumbnail": DataType.BLOB})
    with pytest.raises(InputError, match="holds files"):
        build_search(FakeImages(target=target)).groups("red", by="thumbnail")


def test_a_closed_search_raises() -> None:
    search = build_search()
    search.close()
    for method in (search.find, search.groups, search.explain):
        with pytest.raises(InputError, match="closed"):
            method("red")


def test_many_threads_may_search_at_once() -> None:
    search = build_search()
    what = (Query.text("red") + "green", "blue", Query.stored("red.png"))
    alone = [search.find(each) for each in what]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search.find, what * 50)) == alone * 50


def test_min_similarity_also_holds_for_hits_of_keywords() -> None:
    search = build_search(FakeImages(MANY))
    every = search.find("red", alpha=0.5, limit=36)
    near = search.find("red", alpha=0.5, limit=36, min_similarity=0.5)
    assert near == [hit for hit in every if hit.similarity >= 0.5] and 0 < len(near) < len(every)
    assert "drops hits below similarity 0.5" in str(search.explain("red", alpha=0.5, min_similarity=0.5))


@pytest.mark.parametrize("name", ["fruit", 'rock & "roll"', "<b>", "a\\b", "a\nb", "\u202e", "\u9999"])
def test_a_group_has_the_value_of_its_images_as_its_name(name: str) -> None:
    weaviates = json.dumps(name)[1:-1].replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")
    assert decode_group_name(weaviates) == name and decode_group_name('a"b') == 'a"b'
