"""What every worker opens for itself: the store, the sidecars. D dimensions"""

import logging
import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.collections import find
from clip_vectorizer.connection import DEFAULT_VECTORIZER_URL, connect_weaviate
from clip_vectorizer.errors import InputError, SidecarRefused, VectorizerError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.vectors import Vectors
from ingest.distributed.settings import RaySettings
from ingest.embed import Embedder, SidecarEmbedder
from ingest.embedded import LocalSidecar
from ingest.job import Job
from ingest.open_store import silence_object_dumps
from ingest.patience import Patience, Waiting
from ingest.store import ImageStore
from ingest.weaviate_store import WeaviateStore

log = logging.getLogger(__name__)


@contextmanager
def store_of(job: Job) -> Iterator[ImageStore]:
    """The job's store, which the driver has made and whose model it has checked. Raises WeaviateUnreachable."""
    silence_object_dumps()
    to = job.connection
    with connect_weaviate(to.weaviate_url, to.grpc_port, to.api_key) as client:
        with weaviate_errors(to.weaviate_url):
            there = find(client, job.collection)
        if there is None:
            raise InputError(f"the collection {job.collection} has been removed while it was filled")
        yield WeaviateStore(client, to.weaviate_url, job.collection, there, job.tenant)


def open_patiently(job: Job, until: ExitStack) -> ImageStore:
    return patience_of(job).call(lambda: until.enter_context(store_of(job)))


def patience_of(job: Job) -> Patience:
    return Patience(job.settings.patience_seconds, tell=log_waiting)


def log_waiting(waiting: Waiting) -> None:
    """Ray brings what a worker logs to whoever started the run."""
    log.warning("waiting: %s", waiting.reason)


class InTurn:
    """Obeys Embedder. Asks the next one each time, so that a try again goes elsewhere."""

    def __init__(self, embedders: Sequence[Embedder], first: int = 0) -> None:
        self._next = cycle([*embedders[first % len(embedders) :], *embedders[: first % len(embedders)]])

    def embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        return next(self._next).embed(images)


def open_embedder(job: Job, settings: RaySettings, store: ImageStore, first: int, until: ExitStack) -> Embedder:
    """Of all the sidecars named, beginning with the `first`; or of one of its own, on CLIP_DEVICE of this machine."""
    urls = urls_of(job, settings)
    if settings.model:
        urls = [until.enter_context(LocalSidecar(settings.model)).url]
    key = None if settings.model else job.connection.vectorizer_api_key
    clients = [until.enter_context(VectorizerClient(url, api_key=key)) for url in urls]
    return InTurn([SidecarEmbedder(client, store.model) for client in clients], first)


def urls_of(job: Job, settings: RaySettings) -> Sequence[str]:
    return settings.vectorizer_urls or [job.connection.vectorizer_url or DEFAULT_VECTORIZER_URL]


def portable(error: VectorizerError) -> VectorizerError:
    """The error, or one of the same words where it cannot travel between processes."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return VectorizerError(str(error))
