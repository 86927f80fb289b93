"""Which model makes the vectors of this run: what Weaviate's own sidecar says, and ours agrees with."""

from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.errors import Mismatch, VectorizerError
from clip_vectorizer.failures import sidecar_unreachable
from clip_vectorizer.identity import StoredModel
from clip_vectorizer.wire import read_model_info

MODULE = "multi2vec-clip"


def agreed_model(
    client: WeaviateClient, weaviate_url: str, vectorizer_url: str | None, api_key: str | None = None
) -> ModelInfo:
    """What Weaviate's sidecar runs. Raises SidecarUnreachable, Mismatch (the one at `vectorizer_url` differs)."""
    info = model_of_weaviate(client, weaviate_url)
    if vectorizer_url:
        with VectorizerClient(vectorizer_url, api_key=api_key) as sidecar:
            other = sidecar.meta()
        if not StoredModel.of(info).agrees_with(other):
            raise Mismatch(
                f"Weaviate at {weaviate_url} uses a sidecar with {StoredModel.of(info)}, but VECTORIZER_URL "
                f"{vectorizer_url} runs {StoredModel.of(other)}; point both at one sidecar"
            )
    return info


def model_of_weaviate(client: WeaviateClient, url: str) -> ModelInfo:
    """Weaviate asks its sidecar's `/meta` anew each time, and passes on the answer or the error."""
    module = client.get_meta().get("modules", {}).get(MODULE)
    if module is None:
        raise VectorizerError(
            f"Weaviate at {url} runs without the module {MODULE}; "
            f"start it with ENABLE_MODULES={MODULE} and CLIP_INFERENCE_API=http://HOST:PORT of the sidecar"
        )
    if "error" in module:
        raise sidecar_unreachable(url, str(module["error"]))
    return read_model_info(module, f"the sidecar of Weaviate at {url}, ")
