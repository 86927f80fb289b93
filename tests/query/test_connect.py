from types import SimpleNamespace

import pytest
from weaviate.classes.config import ConsistencyLevel

from clip_vectorizer.database.collections import CollectionState
from clip_vectorizer.database.schema import CollectionDescription, StoredModel
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.connect import (
    check_collection_exists,
    check_tenant_exists,
    check_weaviates_sidecar,
    parse_consistency_level,
)
from tests.query.fakes import INFO

URL = "http://weaviate.test:8080"


def test_a_collection_that_exists_passes() -> None:
    check_collection_exists("Image", ["Image", "ImageLabel"], URL)


@pytest.mark.parametrize("wrong", ["image", "Imgae", "Images"])
def test_the_error_for_a_misspelt_collection_names_the_nearest_one(wrong: str) -> None:
    with pytest.raises(InputError, match=r"did you mean Image[?] it holds Image, Photo "):
        check_collection_exists(wrong, ["Photo", "Image", "ImageLabel"], URL)


def test_the_error_for_an_unknown_collection_lists_the_existing_ones() -> None:
    with pytest.raises(InputError, match="called Xyz; it holds Image "):
        check_collection_exists("Xyz", ["Image"], URL)


def test_a_collection_of_labels_is_not_one_of_images() -> None:
    with pytest.raises(InputError, match="no collection of images called ImageLabel"):
        check_collection_exists("ImageLabel", ["Image", "ImageLabel"], URL)


def test_the_error_for_an_empty_database_names_the_command_to_fill_it() -> None:
    with pytest.raises(InputError, match="no collection of images yet; fill it with `clip-ingest FOLDER`"):
        check_collection_exists("Image", [], URL)


def test_weaviate_with_another_sidecar_than_ours_is_a_mismatch() -> None:
    meta = {"modules": {"multi2vec-clip": {"model": "other", "revision": "f" * 16}}}
    with pytest.raises(Mismatch, match=r"other .*but VECTORIZER_URL runs hash"):
        check_weaviates_sidecar(meta, INFO)


@pytest.mark.parametrize("module", [{}, None, {"revision": INFO.revision}, {"documentationHref": "..."}])
def test_the_same_sidecar_passes_and_so_does_one_without_a_revision(module: dict[str, str] | None) -> None:
    check_weaviates_sidecar({"modules": {"multi2vec-clip": module}}, INFO)


TENANTS = {name: object() for name in ("bob", "ann")}


def check_tenant(tenant: str | None, has_tenants: bool = True, tenants: dict[str, object] = TENANTS) -> None:
    fake = SimpleNamespace(get=lambda: tenants, exists=tenants.__contains__)
    client = SimpleNamespace(collections=SimpleNamespace(use=lambda _: SimpleNamespace(tenants=fake)))
    stored = CollectionState(CollectionDescription(StoredModel.of(INFO)), {}, has_tenants, by_module=True)
    check_tenant_exists(client, stored, "Image", tenant)


def test_an_existing_tenant_passes_and_so_does_none_without_tenants() -> None:
    check_tenant("bob")
    check_tenant(None, has_tenants=False)


def test_a_collection_with_tenants_needs_one_of_them() -> None:
    with pytest.raises(InputError, match=r"name one with --tenant: ann, bob$"):
        check_tenant(None)
    with pytest.raises(InputError, match=r"no tenant eve; it has ann, bob$"):
        check_tenant("eve")


def test_the_error_for_a_misspelt_tenant_names_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"no tenant BOBB; did you mean bob[?] it has ann, bob$"):
        check_tenant("BOBB")


def test_the_error_lists_at_most_ten_tenants() -> None:
    with pytest.raises(InputError, match=r"t00, .*t09, \.\.\.$"):
        check_tenant("eve", tenants={f"t{number:02}": object() for number in range(50)})
    with pytest.raises(InputError, match=r"none yet$"):
        check_tenant(None, tenants={})


def test_a_tenant_is_refused_where_the_collection_has_none() -> None:
    with pytest.raises(InputError, match="has no tenants; remove --tenant"):
        check_tenant("bob", has_tenants=False)


@pytest.mark.parametrize(
    ("level", "expected"), [(None, None), ("ONE", "ONE"), (ConsistencyLevel.QUORUM, "QUORUM"), ("ALL", "ALL")]
)
def test_a_consistency_level_is_a_name_or_the_clients_enum(level: str | None, expected: str | None) -> None:
    parsed = parse_consistency_level(level)
    assert parsed == expected and type(parsed) in (str, type(None))


def test_the_error_for_a_misspelt_consistency_level_names_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"'QUORM'; did you mean QUORUM\? there are ONE, QUORUM, ALL"):
        parse_consistency_level("QUORM")


def test_regions_are_not_suggested_as_a_collection_of_images() -> None:
    check_collection_exists("Image", ["Image", "ImageRegion"], URL)
    with pytest.raises(InputError) as refused:
        check_collection_exists("ImageRegoin", ["Image", "ImageRegion"], URL)
    assert "ImageRegion" not in str(refused.value)
