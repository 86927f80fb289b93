"""What must hold before a collection is searched: it exists, and every model that makes vectors for it is the same."""

import difflib
from collections.abc import Collection
from typing import Any

from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.schema import LABEL_COLLECTION, check_model

MODULE = "multi2vec-clip"


def check_search(client: WeaviateClient, url: str, info: ModelInfo, collection: str) -> None:
    """Raises InputError (no such collection), Mismatch (the collection, our sidecar and Weaviate's do not agree)."""
    with weaviate_errors(url):
        check_exists(collection, client.collections.list_all(simple=True), url)
        check_model(client, info, collection)
        check_weaviates_sidecar(client.get_meta(), info)


def check_exists(collection: str, names: Collection[str], url: str) -> None:
    images = sorted(name for name in names if not name.startswith(LABEL_COLLECTION))
    if collection in images:
        return
    if not images:
        raise InputError(f"Weaviate at {url} holds no collection of images yet; fill it with `clip-ingest FOLDER`")
    lower = {name.lower(): name for name in images}
    close = difflib.get_close_matches(collection.lower(), lower, n=1)
    meant = f"did you mean {lower[close[0]]}? " if close else ""
    raise InputError(
        f"Weaviate at {url} holds no collection of images called {collection}; {meant}"
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
