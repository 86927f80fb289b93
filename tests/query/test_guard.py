import pytest

from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.guard import check_exists, check_weaviates_sidecar
from tests.query.fakes import INFO

URL = "http://weaviate.test:8080"


def test_a_collection_that_exists_passes() -> None:
    check_exists("Image", ["Image", "ImageLabel"], URL)


@pytest.mark.parametrize("wrong", ["image", "Imgae", "Images"])
def test_a_collection_misspelt_is_answered_with_the_one_meant(wrong: str) -> None:
    with pytest.raises(InputError, match=r"did you mean Image[?] it holds Image, Photo "):
        check_exists(wrong, ["Photo", "Image", "ImageLabel"], URL)


def test_a_collection_unlike_any_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match="called Xyz; it holds Image "):
        check_exists("Xyz", ["Image"], URL)


def test_labels_cannot_be_searched_for_images() -> None:
    with pytest.raises(InputError, match="no collection of images called ImageLabel"):
        check_exists("ImageLabel", ["Image", "ImageLabel"], URL)


def test_an_empty_database_says_how_to_fill_it() -> None:
    with pytest.raises(InputError, match="no collection of images yet; fill it with `clip-ingest FOLDER`"):
        check_exists("Image", [], URL)


def test_weaviate_with_another_sidecar_than_ours_is_a_mismatch() -> None:
    meta = {"modules": {"multi2vec-clip": {"model": "other", "revision": "f" * 16}}}
    with pytest.raises(Mismatch, match=r"other .*but VECTORIZER_URL runs hash"):
        check_weaviates_sidecar(meta, INFO)


@pytest.mark.parametrize("module", [{}, None, {"revision": INFO.revision}, {"documentationHref": "..."}])
def test_the_same_sidecar_or_one_that_does_not_tell_passes(module: dict[str, str] | None) -> None:
    check_weaviates_sidecar({"modules": {"multi2vec-clip": module}}, INFO)
