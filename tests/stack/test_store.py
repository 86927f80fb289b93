"""The store against the real database: every way to keep images and to make vectors, with tenants and without."""

from dataclasses import replace
from typing import Any

import pytest

from clip_vectorizer.database.schema import image_id
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query import ImageSearch
from ingest.choices import Keep
from ingest.items import Amendment, Facts
from ingest.items import GeoPoint as Spot
from ingest.store.base import EmptyStore
from tests.stack.conftest import New
from tests.stack.storing import GREEN, RED, Place, digest, picture, same, vector_of
from tests.stack.support import Stack

pytestmark = pytest.mark.stack
WAYS = [
    pytest.param(keep, here, tenant, id=f"{keep}-{'client' if here else 'module'}{'-tenant' if tenant else ''}")
    for keep in Keep
    for here in (False, True)
    for tenant in (None, "bob")
    if here or keep is not Keep.NONE
]


def stored(place: Place, key: str) -> Any:
    """One object as REST returns it."""
    owner = f"&tenant={place.tenant}" if place.tenant else ""
    answer = place.stack.weaviate("GET", f"/v1/objects/{place.collection}/{image_id(key)}?include=vector{owner}")
    return answer.json()


@pytest.mark.parametrize(("keep", "here", "tenant"), WAYS)
def test_an_object_is_put_amended_and_deleted(
    new: New, stack: Stack, keep: Keep, here: bool, tenant: str | None
) -> None:
    place = new(keep=keep, embed_here=here, tenant=tenant)
    right = vector_of(stack, RED)
    with place.open() as store:
        red = picture("red.png", RED, right if here else None)
        green = picture("a/grün.png", GREEN, vector_of(stack, GREEN) if here else None)
        again = picture("again.png", RED, right, duplicate_of="red.png")
        assert store.put([red, green, again]) == {}
        assert store.states(["red.png", "nowhere.png"]).keys() == {"red.png"}
        twins = store.find_duplicates([(digest(RED), "crop"), (digest(RED), "pad")])
        if keep is not Keep.NONE:
            [twin] = twins.values()
            assert twin.key == "red.png" and same(twin.vector_d, right)
        amended = Amendment("red.png", "/other", "new", Facts("veg", "", {"brand": "Bob", "shelf": 3}))
        refused = store.amend([amended, Amendment("gone.png", "/other", "new", None)])
        assert refused.keys() == {"gone.png"} and "vanished" in refused["gone.png"].reason
        now = stored(place, "red.png")
        assert same(now["vectors"]["clip"], right)  # also in a tenant, where Weaviate would make it anew
        assert now["properties"].items() >= {"label": "veg", "brand": "Bob", "shelf": 3, "price": 2.5}.items()
        assert ("thumbnail" in now["properties"]) and ("sha256" in now["properties"]) is (keep is not Keep.NONE)
        assert list(store.keys(["/other"])) == ["red.png"]
        assert sorted(store.phashes()) == [("a/grün.png", "00ff" * 4), ("red.png", "00ff" * 4)]
        store.unlink(["red.png"])
        store.delete(["red.png", "nowhere.png"])
        assert [key for key, _ in sorted(store.phashes())] == ["a/grün.png", "again.png"]
    with ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=place.collection,
        tenant=tenant,
    ) as search:
        assert [hit.path for hit in search.by_image(RED, 9)] == ["again.png", "a/grün.png"]
        assert len(search.by_text("red", 9)) == 2


def test_only_the_selected_parts_of_an_image_are_kept(new: New) -> None:
    kept = {}
    for keep in (Keep.FULL, Keep.HASH):
        place = new(keep=keep)
        with place.open() as store:
            assert store.put([picture("a.png", RED)]) == {}
        kept[keep] = len(stored(place, "a.png")["properties"]["image"])
    assert kept[Keep.FULL] > len(RED) and kept[Keep.HASH] == 64


def test_one_object_that_cannot_be_taken_spoils_no_other(new: New, stack: Stack) -> None:
    with new().open() as store:
        assert store.put([picture("a.png", RED)]) == {}
        refused = store.put(
            [
                picture("broken.png", b"nonsense"),
                picture("number.png", RED, facts=Facts(metadata={"brand": 3})),
                picture("ours.png", RED, facts=Facts(metadata={"label": "x"})),
                picture("good.png", GREEN, facts=Facts(metadata={"price": 3, "seen_from": Spot(48.1, 11.5)})),
            ]
        )
        assert {key: refusal.transient for key, refusal in refused.items()} == dict.fromkeys(
            ("broken.png", "number.png", "ours.png"), False
        )
        assert refused["broken.png"].reason.startswith("a text file, not an image; it must be a JPEG")
        assert "--property brand=brand:text" in refused["number.png"].reason
        assert "--property label=my_label" in refused["ours.png"].reason


def test_a_users_text_is_found_by_its_words(new: New, stack: Stack) -> None:
    place = new()
    with place.open() as store:
        store.put([picture("a.png", RED)])
    [row] = stack.graphql(f'{{ Get {{ {place.collection}(bm25: {{query: "söhne"}}) {{ path brand }} }} }}')
    assert row == {"path": "a.png", "brand": "Ajax und Söhne"}


def test_a_dry_run_makes_nothing_and_finds_nothing(new: New, stack: Stack) -> None:
    place = new()
    with place.open(create=False) as store:
        assert isinstance(store, EmptyStore) and store.states(["a.png"]) == {}
    assert stack.weaviate("GET", f"/v1/schema/{place.collection}").status_code == 404


def test_a_dry_run_of_a_tenant_that_is_not_there_finds_nothing(new: New) -> None:
    place = new(tenant="bob")
    with place.open() as store:
        store.put([picture("a.png", RED)])
    with place.open(create=False) as store:
        assert store.states(["a.png"]).keys() == {"a.png"}
    with replace(place, tenant="ann").open(create=False) as store:
        assert store.states(["a.png"]) == {}
    with replace(place, tenant="ann").open() as store:
        assert store.states(["a.png"]) == {}


def test_a_collection_is_used_as_it_was_made(new: New) -> None:
    place, with_tenants = new(keep=Keep.HASH), new(tenant="bob")
    for each in (place, with_tenants):
        with each.open():
            pass
    with pytest.raises(InputError, match="was created with --keep hash"), place.open(keep=Keep.FULL):
        pass
    with pytest.raises(InputError, match="has no tenants"), place.open(tenant="bob"):
        pass
    with pytest.raises(InputError, match="has tenants; name one"), with_tenants.open(tenant=None):
        pass
    with place.open(keep=None) as store:
        assert store.keep is Keep.HASH


def test_an_image_that_weaviate_could_not_embed_is_refused_before_a_collection_is_made(new: New, stack: Stack) -> None:
    place = new(keep=Keep.NONE)
    with pytest.raises(InputError, match="add --embed client"), place.open():
        pass
    assert stack.weaviate("GET", f"/v1/schema/{place.collection}").status_code == 404
    with new(tenant="b").open() as store, pytest.raises(VectorizerError), new(tenant="no tenant").open():
        assert store.keep is Keep.THUMBNAIL
