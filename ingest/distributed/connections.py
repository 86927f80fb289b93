"""The connections that each worker opens: to the store and to the sidecars. D dimensions"""

import logging
import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.collections import find_collection
from clip_vectorizer.database.connection import connect_weaviate, weaviate_errors
from clip_vectorizer.defaults import DEFAULT_VECTORIZER_URL
from clip_vectorizer.errors import InputError, SidecarRefused, VectorizerError
from clip_vectorizer.vectors import Vectors
from ingest.distributed.cluster import RaySettings
from ingest.embed import Embedder, SidecarEmbedder
from ingest.embedded import LocalSidecar
from ingest.job import IngestJob
from ingest.retry import Patience, RetryWait
from ingest.store.base import ImageStore
from ingest.store.open import open_regions, silence_object_dumps
from ingest.store.weaviate import WeaviateStore

log = logging.getLogger(__name__)


@contextmanager
def open_worker_store(job: IngestJob) -> Iterator[ImageStore]:
    """Open the job's store, which the driver has created and checked. Raises WeaviateUnreachable, InputError."""
    silence_object_dumps()
    to = job.connection
    with connect_weaviate(to.weaviate_url, to.grpc_port, to.api_key) as client:
        with weaviate_errors(to.weaviate_url):
            there = find_collection(client, job.collection)
        if there is None:
            raise InputError(f"the collection {job.collection} has been removed during the ingest")
        with weaviate_errors(to.weaviate_url):
            regions = open_regions(client, job.collection, there, job.tenant, create=False)
        yield WeaviateStore(client, to.weaviate_url, job.collection, there, job.tenant, regions)


def open_store_with_retries(job: IngestJob, stack: ExitStack) -> ImageStore:
    return build_patience(job).call(lambda: stack.enter_context(open_worker_store(job)))


def build_patience(job: IngestJob) -> Patience:
    return Patience(job.settings.patience_seconds, on_wait=log_waiting)


def log_waiting(waiting: RetryWait) -> None:
    """Log the reason; Ray forwards the logs of workers to the driver."""
    log.warning("waiting: %s", waiting.reason)


class RotatingEmbedder:
    """An Embedder that uses several in turn, so that a retry goes to another one."""

    def __init__(self, embedders: Sequence[Embedder], first: int = 0) -> None:
        self._next = cycle([*embedders[first % len(embedders) :], *embedders[: first % len(embedders)]])

    def embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        return next(self._next).embed(images)


def open_embedder(job: IngestJob, settings: RaySettings, store: ImageStore, first: int, stack: ExitStack) -> Embedder:
    """Open an embedder over all given sidecars, starting with the `first`, or over its own one on CLIP_DEVICE."""
    urls = list_sidecar_urls(job, settings)
    if settings.model:
        urls = [stack.enter_context(LocalSidecar(settings.model)).url]
    key = None if settings.model else job.connection.vectorizer_api_key
    clients = [stack.enter_context(VectorizerClient(url, api_key=key)) for url in urls]
    return RotatingEmbedder([SidecarEmbedder(client, store.model) for client in clients], first)


def list_sidecar_urls(job: IngestJob, settings: RaySettings) -> Sequence[str]:
    return settings.vectorizer_urls or [job.connection.vectorizer_url or DEFAULT_VECTORIZER_URL]


def make_picklable(error: VectorizerError) -> VectorizerError:
    """Return the error, or one with the same text if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return VectorizerError(str(error))
