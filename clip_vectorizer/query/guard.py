"""What must hold before a collection is searched: it exists, and every model that makes vectors for it is the same."""

from collections.abc import Collection, Iterable
from typing import Any

from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.collections import MODULE, Stored, check_model, look_at
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.schema import LABEL_COLLECTION, check_tenant

SHOWN_TENANTS = 10


def check_search(
    client: WeaviateClient, url: str, info: ModelInfo, collection: str, tenant: str | None = None
) -> Stored:
    """The collection. Raises InputError (no such one or tenant), Mismatch (the models do not agree)."""
    stored = check_collection(client, url, collection, tenant)
    check_model(stored, info, collection)
    if stored.inference_url is None:  # else Weaviate asks that one, which it tells us nothing of
        with weaviate_errors(url):
            check_weaviates_sidecar(client.get_meta(), info)
    return stored


def check_collection(client: WeaviateClient, url: str, collection: str, tenant: str | None = None) -> Stored:
    """The collection, for whoever needs no vectors. Raises InputError, Mismatch (not made by us)."""
    with weaviate_errors(url):
        check_exists(collection, client.collections.list_all(simple=True), url)
        stored = look_at(client, collection)
        check_tenant_of(client, stored, collection, tenant)
    return stored


def check_tenant_of(client: WeaviateClient, stored: Stored, collection: str, tenant: str | None) -> None:
    if not stored.tenants:
        if tenant is not None:
            raise InputError(f"the collection {collection} has no tenants; leave --tenant away")
        return
    tenants = client.collections.use(collection).tenants
    if tenant is None:
        raise InputError(f"the collection {collection} has tenants; name one with --tenant: {some(tenants.get())}")
    check_tenant(tenant)
    if not tenants.exists(tenant):
        names = sorted(tenants.get())
        raise InputError(
            f"the collection {collection} has no tenant {tenant}; {did_you_mean(tenant, names)}it has {some(names)}"
        )


def some(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join([*found[:SHOWN_TENANTS], "..."] if len(found) > SHOWN_TENANTS else found) or "none yet"


def check_exists(collection: str, names: Collection[str], url: str) -> None:
    images = sorted(name for name in names if not name.startswith(LABEL_COLLECTION))
    if collection in images:
        return
    if not images:
        raise InputError(f"Weaviate at {url} holds no collection of images yet; fill it with `clip-ingest FOLDER`")
    raise InputError(
        f"Weaviate at {url} holds no collection of images called {collection}; {did_you_mean(collection, images)}"
        f"it holds {', '.join(images)} (--collection NAME)"
    )


def check_weaviates_sidecar(meta: dict[str, Any], info: ModelInfo) -> None:
    """A text is embedded by the sidecar that Weaviate names, an image by ours: two models would go unnoticed."""
    theirs = (meta.get("modules") or {}).get(MODULE) or {}
    if theirs.get("revision", info.revision) != info.revision:
        raise Mismatch(
            f"Weaviate's own sidecar (CLIP_INFERENCE_API) runs {theirs.get('model')} (revision {theirs['revision']}), "
            f"but VECTORIZER_URL runs {info.model} (revision {info.revision}); point both at the same sidecar"
        )
