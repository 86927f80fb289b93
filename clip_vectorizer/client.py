"""HTTP client of a running sidecar: texts and image files in, checked vectors out. Knows nothing of Weaviate.

N items · D dimensions
"""

import base64
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import httpx
import numpy as np

from clip_vectorizer import protocol
from clip_vectorizer.each import each_alone
from clip_vectorizer.errors import Mismatch, SidecarRefused, SidecarUnreachable
from clip_vectorizer.models.encoder import ModelInfo  # noqa: TID251 - the contract alone; encoder.py has no torch
from clip_vectorizer.sidecar_http import BUSY_WAITS_SECONDS, SidecarHttp
from clip_vectorizer.vectors import Vectors
from clip_vectorizer.wire import (
    Item,
    form_of,
    parts_of,
    read_answer,
    read_array,
    read_model_info,
    read_vectors,
    shift_index,
)

__all__ = ["ModelInfo", "VectorizerClient"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
NO_SUCH_ROUTE = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)


class VectorizerClient:
    """A sidecar at `url` (`http://user:password@host:port` sends HTTP Basic, `api_key` a bearer). A context manager.

    Every method raises SidecarUnreachable when nobody answers and SidecarRefused when the sidecar says no.
    Warnings of the sidecar (a text was cut) go to this module's logger.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        busy_waits_seconds: Sequence[float] = BUSY_WAITS_SECONDS,
        api_key: str | None = None,
    ) -> None:
        self._http = SidecarHttp(url, timeout_seconds, transport, busy_waits_seconds, api_key)
        self.url = self._http.url
        self._dimension: int | None = None
        self._takes_files = True  # until it says otherwise: Weaviate's own container does

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def meta(self) -> ModelInfo:
        """The sidecar's model. Raises SidecarRefused if the answer is not one of this project's sidecars."""
        info = read_model_info(read_answer(self._http.ask("GET", protocol.META), self.url), self.url)
        self._dimension = info.dimension
        return info

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """(N, D) float32, same order as `texts`; no texts: (0, D). Raises Mismatch if the dimension changes."""
        return self._embed(texts, self._texts)

    def embed_images(self, images: Sequence[bytes]) -> Vectors:
        """(N, D) float32 of image files' bytes, in order. One bad file refuses all, and the error names its index."""
        return self._embed(images, self._images)

    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        """For each file its vector (D,), or why the sidecar refused this one alone."""
        parts = parts_of(images) if images else ()
        return [outcome for part in parts for outcome in each_alone(images[part], self.embed_images)]

    def wait_until_ready(self, seconds: float) -> None:
        """Returns once the model answers. Raises SidecarUnreachable after `seconds` with the last thing heard."""
        deadline = time.monotonic() + seconds
        while (reason := self._why_not_ready()) is not None:
            if time.monotonic() >= deadline:
                raise SidecarUnreachable(f"the sidecar at {self.url} is not ready after {seconds:g} s: {reason}")
            time.sleep(POLL_SECONDS)

    def _why_not_ready(self) -> str | None:
        try:
            self._http.ask("GET", protocol.READY)
        except (SidecarRefused, SidecarUnreachable) as error:
            return str(error)
        return None

    def _embed(self, items: Sequence[Item], ask: Callable[[Sequence[Item], int], Vectors]) -> Vectors:
        if not items:
            return np.empty((0, self._dimension or self.meta().dimension), dtype=np.float32)
        return np.concatenate([self._part(ask, items[part], part.start) for part in parts_of(items)])

    def _part(self, ask: Callable[[Sequence[Item], int], Vectors], items: Sequence[Item], start: int) -> Vectors:
        try:
            vectors = ask(items, start)
        except SidecarRefused as refusal:
            refused = {start + index: reason for index, reason in refusal.refused.items()}
            raise SidecarRefused(refusal.status, shift_index(str(refusal), start), refused) from refusal
        self._check_dimension(vectors.shape[1])
        return vectors

    def _texts(self, texts: Sequence[str], start: int) -> Vectors:
        return self._vectorize(protocol.TEXTS, protocol.TEXT_VECTORS, texts, start)

    def _images(self, images: Sequence[bytes], start: int) -> Vectors:
        """As files; as base64 where the sidecar has no such route."""
        if self._takes_files:
            content, headers = form_of(images)
            try:
                response = self._http.patiently(protocol.VECTORIZE_IMAGES, content=content, headers=headers)
                return read_array(response, len(images), self.url)
            except SidecarRefused as refusal:
                if refusal.status not in NO_SUCH_ROUTE:
                    raise
                self._takes_files = False
        texts = [base64.b64encode(image).decode("ascii") for image in images]
        return self._vectorize(protocol.IMAGES, protocol.IMAGE_VECTORS, texts, start)

    def _vectorize(self, field: str, answer_field: str, items: Sequence[str], start: int) -> Vectors:
        request: dict[str, Any] = {field: list(items)}
        body = read_answer(self._http.patiently(protocol.VECTORIZE, json=request), self.url)
        for warning in body.get(protocol.WARNINGS) or ():
            logger.warning("%s", shift_index(str(warning), start))
        return read_vectors(body.get(answer_field), len(items), self.url)

    def _check_dimension(self, dimension: int) -> None:
        if dimension != (self._dimension or dimension):
            raise Mismatch(
                f"the sidecar at {self.url} answered {dimension} dimensions after {self._dimension}: "
                "its model was changed meanwhile; start again"
            )
        self._dimension = dimension
