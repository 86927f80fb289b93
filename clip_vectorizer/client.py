"""HTTP client of a running sidecar: texts and image files in, checked vectors out. Knows nothing of Weaviate.

N items · D dimensions
"""

import base64
import logging
import time
from collections.abc import Sequence
from typing import Any, Self

import httpx
import numpy as np

from clip_vectorizer.errors import Mismatch, SidecarRefused, SidecarUnreachable
from clip_vectorizer.models.encoder import ModelInfo  # noqa: TID251 - the contract alone; encoder.py has no torch
from clip_vectorizer.protocol import (
    IMAGE_VECTORS,
    IMAGES,
    META,
    READY,
    TEXT_VECTORS,
    TEXTS,
    VECTORIZE,
    WARNINGS,
)
from clip_vectorizer.vectors import Vectors
from clip_vectorizer.wire import (
    about_one_file,
    parts_of,
    read_address,
    read_answer,
    read_model_info,
    read_vectors,
    shift_index,
)

__all__ = ["ModelInfo", "VectorizerClient"]

logger = logging.getLogger(__name__)

BUSY_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)  # before asking again after 503
CONNECT_SECONDS = 5.0
STATE_SECONDS = 15.0  # for /meta and ready
POLL_SECONDS = 0.2
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class VectorizerClient:
    """A sidecar at `url` (`http://user:password@host:port` sends HTTP Basic). A context manager.

    Every method raises SidecarUnreachable when nobody answers and SidecarRefused when the sidecar says no.
    Warnings of the sidecar (a text was cut) go to this module's logger.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        busy_waits_seconds: Sequence[float] = BUSY_WAITS_SECONDS,
    ) -> None:
        address = read_address(url)
        self.url = str(address.copy_with(username="", password=""))  # safe to show: no password
        self._dimension: int | None = None
        self._timeout_seconds = timeout_seconds
        self._busy_waits_seconds = busy_waits_seconds
        self._http = httpx.Client(
            base_url=self.url,
            auth=(address.username, address.password) if address.userinfo else None,
            transport=transport,
            trust_env=address.host not in LOOPBACK,  # a company's HTTP_PROXY cannot reach this machine's loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def meta(self) -> ModelInfo:
        """The sidecar's model. Raises SidecarRefused if the answer is not one of this project's sidecars."""
        info = read_model_info(self._request("GET", META), self.url)
        self._dimension = info.dimension
        return info

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """(N, D) float32, same order as `texts`; no texts: (0, D). Raises Mismatch if the dimension changes."""
        return self._embed(TEXTS, TEXT_VECTORS, texts)

    def embed_images(self, images: Sequence[bytes]) -> Vectors:
        """(N, D) float32 of image files' bytes, in order. One bad file refuses all, and the error names its index."""
        return self._embed(IMAGES, IMAGE_VECTORS, [base64.b64encode(image).decode("ascii") for image in images])

    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        """For each file its vector (D,), or why the sidecar refused this one alone."""
        try:
            return list(self.embed_images(images))
        except SidecarRefused as refusal:
            if not 400 <= refusal.status < 500 or refusal.status in (401, 403, 404):
                raise  # not about an image: asking again in halves would fail as often
            if len(images) == 1:
                return [SidecarRefused(refusal.status, about_one_file(str(refusal)))]
        half = len(images) // 2
        return self.embed_each_image(images[:half]) + self.embed_each_image(images[half:])

    def wait_until_ready(self, seconds: float) -> None:
        """Returns once the model answers. Raises SidecarUnreachable after `seconds` with the last thing heard."""
        deadline = time.monotonic() + seconds
        while (reason := self._why_not_ready()) is not None:
            if time.monotonic() >= deadline:
                raise SidecarUnreachable(f"the sidecar at {self.url} is not ready after {seconds:g} s: {reason}")
            time.sleep(POLL_SECONDS)

    def _why_not_ready(self) -> str | None:
        try:
            self._request("GET", READY)
        except (SidecarRefused, SidecarUnreachable) as error:
            return str(error)
        return None

    def _timeout(self, path: str) -> httpx.Timeout:
        """Vectors may have to queue; what a sidecar says of itself never waits behind them."""
        patience = self._timeout_seconds if path == VECTORIZE else min(self._timeout_seconds, STATE_SECONDS)
        return httpx.Timeout(patience, connect=min(self._timeout_seconds, CONNECT_SECONDS))

    def _embed(self, field: str, answer_field: str, items: Sequence[str]) -> Vectors:
        if not items:
            return np.empty((0, self._dimension or self.meta().dimension), dtype=np.float32)
        parts = [self._embed_part(field, answer_field, items[part], part.start) for part in parts_of(items)]
        return np.concatenate(parts)

    def _embed_part(self, field: str, answer_field: str, items: Sequence[str], start: int) -> Vectors:
        try:
            body = self._vectorize({field: list(items)})
        except SidecarRefused as refusal:
            raise SidecarRefused(refusal.status, shift_index(str(refusal), start)) from refusal
        for warning in body.get(WARNINGS) or ():
            logger.warning("%s", shift_index(str(warning), start))
        vectors = read_vectors(body.get(answer_field), len(items), self.url)
        self._check_dimension(vectors.shape[1])
        return vectors

    def _vectorize(self, request: dict[str, Any]) -> dict[str, Any]:
        for seconds in self._busy_waits_seconds:
            try:
                return self._request("POST", VECTORIZE, request)
            except SidecarRefused as refusal:
                if refusal.status != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
            time.sleep(seconds)
        return self._request("POST", VECTORIZE, request)

    def _check_dimension(self, dimension: int) -> None:
        if dimension != (self._dimension or dimension):
            raise Mismatch(
                f"the sidecar at {self.url} answered {dimension} dimensions after {self._dimension}: "
                "its model was changed meanwhile; start again"
            )
        self._dimension = dimension

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, json=body, timeout=self._timeout(path))
        except httpx.TimeoutException as error:
            raise SidecarUnreachable(f"the sidecar at {self.url} did not answer in time ({_why(error)})") from error
        except httpx.HTTPError as error:
            raise SidecarUnreachable(
                f"no sidecar answers at {self.url} ({_why(error)}); start one with `clip-vectorizer serve`, "
                "or name another with VECTORIZER_URL"
            ) from error
        return read_answer(response, self.url)


def _why(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
