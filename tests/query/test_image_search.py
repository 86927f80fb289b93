import re
from dataclasses import replace

import numpy as np
import pytest

from clip_vectorizer.errors import InputError, Mismatch, SidecarUnreachable, WeaviateUnreachable
from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.image_search import SearchableCollection
from tests.documents import page
from tests.query.fakes import INFO, TARGET, FakeImages, FakeSidecar, picture
from tests.query.zeroshot_fakes import stores

NOWHERE = "http://127.0.0.1:1"


def build_search(images: SearchableCollection | None = None, sidecar: FakeSidecar | None = None) -> ImageSearch:
    return ImageSearch(INFO, sidecar or FakeSidecar(), images or FakeImages(), stores)


def test_a_text_finds_its_image_first() -> None:
    hits = build_search().by_text("something green", limit=2)
    assert hits[0].path == "green.png" and len(hits) == 2
    assert hits[0].similarity == pytest.approx(1 - hits[0].distance)


def test_an_image_finds_itself_first() -> None:
    assert build_search().by_image(picture("blue"), limit=1)[0].path == "blue.png"


def test_a_vector_finds_its_image_first() -> None:
    assert build_search().by_vector([0, 0, 1], limit=1)[0].path == "blue.png"


@pytest.mark.parametrize("query", ["", "  ", "\n\t", "\u3000"])
def test_an_empty_query_is_refused(query: str) -> None:
    with pytest.raises(InputError, match="the query is empty"):
        build_search().by_text(query)


def test_a_query_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InputError, match="is not UTF-8 text"):
        build_search().by_text("caf\udce9")


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_that_weaviate_would_refuse_is_refused(limit: int) -> None:
    with pytest.raises(InputError, match="expected 1 to 10000"):
        build_search().by_text("red", limit=limit)


def test_only_a_text_that_may_be_truncated_is_sent_to_the_sidecar_for_its_warning() -> None:
    sidecar = FakeSidecar()
    build_search(sidecar=sidecar).by_text("red")
    assert sidecar.texts == []
    build_search(sidecar=sidecar).by_text("red " * 10)
    assert sidecar.texts == [("red " * 10).strip()]


def test_a_text_is_embedded_here_where_weaviate_cannot() -> None:
    sidecar = FakeSidecar()
    images = FakeImages(target=replace(TARGET, by_module=False))
    search = build_search(images, sidecar)
    assert search.by_text("a green apple", 1)[0].path == "green.png"
    assert sidecar.texts == ["a green apple"]
    assert [call.method for call in images.calls] == ["near_vector"]


def test_a_vector_of_another_dimension_is_a_mismatch() -> None:
    with pytest.raises(Mismatch, match=r"\(2,\).*\(3,\)"):
        build_search().by_vector([1, 0])


@pytest.mark.parametrize("vector", [[0, 0, 0], [1, 0, float("nan")]])
def test_a_vector_without_a_direction_is_refused(vector: list[float]) -> None:
    with pytest.raises(InputError, match="no direction"):
        build_search().by_vector(np.array(vector))


def test_files_are_classified_in_order_and_a_broken_one_is_an_error_in_its_place() -> None:
    results = list(build_search().classify([picture("red"), b"broken", picture("blue")], ["blue", "red"]))
    assert [(result.label, result.error) for result in results] == [("red", ""), ("", "not an image"), ("blue", "")]


def test_without_files_the_whole_collection_is_classified_by_its_stored_vectors() -> None:
    sidecar = FakeSidecar()
    results = list(build_search(sidecar=sidecar).classify(None, ["blue", "red", "green"]))
    assert [result.label for result in results] == ["red", "green", "blue", "blue", ""]
    assert "stored without a vector" in results[-1].error
    assert sidecar.batches == []


def test_a_closed_search_does_not_classify() -> None:
    search = build_search()
    search.close()
    with pytest.raises(InputError, match="closed; connect again"):
        search.classify(None, ["blue", "red"])
    with pytest.raises(InputError, match="closed; connect again"):
        search.label_set("colours")


def test_a_limit_classifies_the_first_images() -> None:
    assert len(list(build_search().classify(None, ["blue", "red"], limit=3))) == 3


def test_labels_are_checked_before_anything_is_embedded() -> None:
    sidecar = FakeSidecar()
    with pytest.raises(InputError, match="given twice"):
        build_search(sidecar=sidecar).classify(None, ["red", "red"])
    with pytest.raises(InputError, match="where the label goes"):
        build_search(sidecar=sidecar).classify(None, ["red", "blue"], templates=["a photo"])
    assert sidecar.texts == []


def test_without_a_collection_files_can_be_classified_but_not_searched() -> None:
    search = ImageSearch(INFO, FakeSidecar(), None, lambda: replace(stores(), images=None))
    assert [result.label for result in search.classify([picture("red")], ["blue", "red"])] == ["red"]
    with pytest.raises(InputError, match="connected without a collection"):
        search.classify(None, ["blue", "red"])
    with pytest.raises(InputError, match="connected without a collection"):
        search.by_text("red")


def test_connect_raises_when_no_server_answers() -> None:
    with pytest.raises(WeaviateUnreachable, match=NOWHERE):
        ImageSearch.connect(NOWHERE, vectorizer_url=NOWHERE)


def test_connect_raises_for_a_bad_address() -> None:
    with pytest.raises(Exception, match="VECTORIZER_URL='nonsense'") as error:
        ImageSearch.connect(NOWHERE, vectorizer_url="nonsense")
    assert not isinstance(error.value, SidecarUnreachable)


def test_the_table_of_methods_is_complete() -> None:
    names = {name for name in vars(ImageSearch) if not name.startswith("_")}
    cells = " ".join(row[0] for row in page("docs/search.md").table("method"))
    assert names - {"connect", "close", "grounding", "searches"} == set(re.findall(r"`(\w+)", cells))
