from types import SimpleNamespace

import pytest

from clip_vectorizer.database.collections import CollectionState
from clip_vectorizer.database.identity import CollectionDescription, StoredModel
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.connect import check_collection_exists, check_tenant_exists, check_weaviates_sidecar
from tests.query.fakes import INFO

URL = "http://weaviate.test:8080"


def test_a_collection_that_exists_passes() -> None:
    check_collection_exists("Image", ["Image", "ImageLabel"], URL)


@pytest.mark.parametrize("wrong", ["image", "Imgae", "Images"])
def test_a_collection_misspelt_is_answered_with_the_one_meant(wrong: str) -> None:
    with pytest.raises(InputError, match=r"did you mean Image[?] it holds Image, Photo "):
        check_collection_exists(wrong, ["Photo", "Image", "ImageLabel"], URL)


def test_a_collection_unlike_any_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match="called Xyz; it holds Image "):
        check_collection_exists("Xyz", ["Image"], URL)


def test_labels_cannot_be_searched_for_images() -> None:
    with pytest.raises(InputError, match="no collection of images called ImageLabel"):
        check_collection_exists("ImageLabel", ["Image", "ImageLabel"], URL)


def test_an_empty_database_says_how_to_fill_it() -> None:
    with pytest.raises(InputError, match="no collection of images yet; fill it with `clip-ingest FOLDER`"):
        check_collection_exists("Image", [], URL)


def test_weaviate_with_another_sidecar_than_ours_is_a_mismatch() -> None:
    meta = {"modules": {"multi2vec-clip": {"model": "other", "revision": "f" * 16}}}
    with pytest.raises(Mismatch, match=r"other .*but VECTORIZER_URL runs hash"):
        check_weaviates_sidecar(meta, INFO)


@pytest.mark.parametrize("module", [{}, None, {"revision": INFO.revision}, {"documentationHref": "..."}])
def test_the_same_sidecar_or_one_that_does_not_tell_passes(module: dict[str, str] | None) -> None:
    check_weaviates_sidecar({"modules": {"multi2vec-clip": module}}, INFO)


TENANTS = {name: object() for name in ("bob", "ann")}


def check_tenant(tenant: str | None, has_tenants: bool = True, tenants: dict[str, object] = TENANTS) -> None:
    held = SimpleNamespace(get=lambda: tenants, exists=tenants.__contains__)
    client = SimpleNamespace(collections=SimpleNamespace(use=lambda _: SimpleNamespace(tenants=held)))
    stored = CollectionState(CollectionDescription(StoredModel.of(INFO)), {}, has_tenants, by_module=True)
    check_tenant_exists(client, stored, "Image", tenant)


def test_a_tenant_that_exists_passes_and_so_does_none_where_there_are_none() -> None:
    check_tenant("bob")
    check_tenant(None, has_tenants=False)


def test_a_collection_with_tenants_needs_one_and_names_those_it_has() -> None:
    with pytest.raises(InputError, match=r"name one with --tenant: ann, bob$"):
        check_tenant(None)
    with pytest.raises(InputError, match=r"no tenant eve; it has ann, bob$"):
        check_tenant("eve")


def test_a_tenant_misspelt_is_answered_with_the_one_meant() -> None:
    with pytest.raises(InputError, match=r"no tenant BOBB; did you mean bob[?] it has ann, bob$"):
        check_tenant("BOBB")


def test_of_many_tenants_only_some_are_named() -> None:
    with pytest.raises(InputError, match=r"t00, .*t09, \.\.\.$"):
        check_tenant("eve", tenants={f"t{number:02}": object() for number in range(50)})
    with pytest.raises(InputError, match=r"none yet$"):
        check_tenant(None, tenants={})


def test_a_tenant_of_a_collection_without_is_refused() -> None:
    with pytest.raises(InputError, match="has no tenants; leave --tenant away"):
        check_tenant("bob", has_tenants=False)
