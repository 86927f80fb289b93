"""Find equal images although many workers process them at the same time: one actor serves all workers.

D dimensions
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.vectors import Vectors
from ingest.distributed.connections import make_picklable, open_store_with_retries
from ingest.embed import DuplicateIndex
from ingest.items import ImageObject
from ingest.job import IngestJob

DuplicateLink = tuple[Vectors | None, str]  # (D,), and what the object is a duplicate of
LinkResult = Sequence[DuplicateLink] | VectorizerError


class DuplicateIndexActor:
    """The actor with the DuplicateIndex of all embedders."""

    def __init__(self, job: IngestJob) -> None:
        self._open = ExitStack()
        self._twins = DuplicateIndex(open_store_with_retries(job, self._open))

    def links(self, objects: Sequence[ImageObject]) -> LinkResult:
        """Return a link for each object, or the error: Ray would wrap it if it were raised."""
        try:
            return [(item.vector_d, item.duplicate_of) for item in self._twins.link(objects)]
        except VectorizerError as error:
            return make_picklable(error)


class RemoteDuplicateIndex(DuplicateIndex):
    """A DuplicateIndex that calls the actor."""

    def __init__(self, request_links: Callable[[Sequence[ImageObject]], LinkResult]) -> None:
        self._request_links = request_links

    def link(self, objects: Sequence[ImageObject]) -> Iterator[ImageObject]:
        links = self._request_links([replace(item, image=b"", thumbnail=None) for item in objects])
        if isinstance(links, VectorizerError):
            raise links
        for item, (vector_d, duplicate_of) in zip(objects, links, strict=True):
            yield replace(item, vector_d=vector_d, duplicate_of=duplicate_of)


def open_remote_index(actor: Any) -> RemoteDuplicateIndex:
    """`actor` is Ray's handle of a DuplicateIndexActor."""
    import ray

    return RemoteDuplicateIndex(lambda objects: ray.get(actor.links.remote(objects)))
