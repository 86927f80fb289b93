"""Equal images, though many workers meet them at the same time: one of all workers is asked.

D dimensions
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.vectors import Vectors
from ingest.distributed.connections import open_patiently, portable
from ingest.embed import Twins
from ingest.items import ImageObject
from ingest.job import Job

Link = tuple[Vectors | None, str]  # (D,), and what the object is a duplicate of
Links = Sequence[Link] | VectorizerError


class Desk:
    """An actor: the one `Twins` of all embedders."""

    def __init__(self, job: Job) -> None:
        self._open = ExitStack()
        self._twins = Twins(open_patiently(job, self._open))

    def links(self, objects: Sequence[ImageObject]) -> Links:
        """One an object. An error is an answer: Ray would make another one of it."""
        try:
            return [(item.vector_d, item.duplicate_of) for item in self._twins.linked(objects)]
        except VectorizerError as error:
            return portable(error)


class TwinsAtDesk(Twins):
    """Asks instead of knowing."""

    def __init__(self, ask: Callable[[Sequence[ImageObject]], Links]) -> None:
        self._ask = ask

    def linked(self, objects: Sequence[ImageObject]) -> Iterator[ImageObject]:
        links = self._ask([replace(item, image=b"", thumbnail=None) for item in objects])
        if isinstance(links, VectorizerError):
            raise links
        for item, (vector_d, duplicate_of) in zip(objects, links, strict=True):
            yield replace(item, vector_d=vector_d, duplicate_of=duplicate_of)


def at_desk(desk: Any) -> TwinsAtDesk:
    """`desk` is Ray's handle of a Desk."""
    import ray

    return TwinsAtDesk(lambda objects: ray.get(desk.links.remote(objects)))
