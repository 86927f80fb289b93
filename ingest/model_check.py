"""Which model makes the vectors of this run: what the sidecar that makes them says, and the other one agrees with."""

from typing import Any

from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.collections import MODULE
from clip_vectorizer.connection import DEFAULT_VECTORIZER_URL, Connection
from clip_vectorizer.errors import Mismatch, SidecarUnreachable, VectorizerError
from clip_vectorizer.failures import sidecar_unreachable
from clip_vectorizer.identity import StoredModel
from clip_vectorizer.wire import read_model_info


def agreed_model(
    client: WeaviateClient,
    connection: Connection,
    embed_here: bool = False,
    inference_url: str | None = None,
) -> ModelInfo:
    """What the sidecar runs that makes the vectors: ours where we `embed_here`, else Weaviate's.

    `inference_url`: the sidecar that Weaviate asks for this collection, where it is not its default. Raises
    SidecarUnreachable (the one that is needed), Mismatch (both answer, and differ).
    """
    url, named = connection.weaviate_url, connection.vectorizer_url
    asked = named or embed_here
    ours = meta(named or DEFAULT_VECTORIZER_URL, connection.vectorizer_api_key) if asked else None
    theirs = model_of_weaviate(client, url, inference_url, ours, needed=not embed_here)
    if ours and theirs and not StoredModel.of(theirs).agrees_with(ours):
        raise Mismatch(
            f"Weaviate at {url} uses a sidecar with {StoredModel.of(theirs)}, but VECTORIZER_URL "
            f"{named} runs {StoredModel.of(ours)}; point both at one sidecar"
        )
    info = ours if embed_here else theirs
    assert info is not None
    return info


def model_of_weaviate(
    client: WeaviateClient, url: str, inference_url: str | None, ours: ModelInfo | None, needed: bool
) -> ModelInfo | None:
    """None where Weaviate has no module or its sidecar is silent, and it is not `needed`."""
    if inference_url:
        return model_at(inference_url, ours, needed)
    module = client.get_meta().get("modules", {}).get(MODULE)
    if module is None and needed:
        raise VectorizerError(
            f"Weaviate at {url} runs without the module {MODULE}; start it with ENABLE_MODULES={MODULE} and "
            "CLIP_INFERENCE_API=http://HOST:PORT of the sidecar, or let clip-ingest ask the sidecar itself: "
            "--embed client"
        )
    if module is None or ("error" in module and not needed):
        return None
    return told_by(module, url)


def told_by(module: dict[str, Any], url: str) -> ModelInfo:
    """Weaviate asks its sidecar's `/meta` anew each time, and passes on the answer or the error."""
    if "error" in module:
        raise sidecar_unreachable(url, str(module["error"]))
    return read_model_info(module, f"the sidecar of Weaviate at {url}, ")


def model_at(inference_url: str, ours: ModelInfo | None, needed: bool) -> ModelInfo | None:
    """The address is Weaviate's, maybe of a network that we are not in: then what ours runs must do."""
    try:
        return meta(inference_url)
    except SidecarUnreachable:
        if needed and ours is None:
            raise
        return ours


def meta(url: str, api_key: str | None = None) -> ModelInfo:
    with VectorizerClient(url, api_key=api_key) as sidecar:
        return sidecar.meta()


def has_module(client: WeaviateClient) -> bool:
    return MODULE in client.get_meta().get("modules", {})
