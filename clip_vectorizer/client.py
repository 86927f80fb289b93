"""HTTP client of a running sidecar: texts and files in, validated vectors, regions, captions out. No Weaviate needed.

N items or regions · P phrases · D dimensions
"""

import base64
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self, TypeVar

import httpx
import numpy as np

from clip_vectorizer import protocol
from clip_vectorizer.errors import Mismatch, SidecarRefused, SidecarUnreachable
from clip_vectorizer.models.captioning.captioner import (  # noqa: TID251 - the contract alone; it has no torch
    CaptionerInfo,
)
from clip_vectorizer.models.encoder import ModelInfo  # noqa: TID251 - the contract alone; encoder.py has no torch
from clip_vectorizer.models.grounding.grounder import (  # noqa: TID251 - the contract alone; it has no torch
    GrounderInfo,
    Groundings,
    PhraseScores,
    Regions,
    RegionVectors,
)
from clip_vectorizer.vectors import Vectors
from clip_vectorizer.wire import (
    ItemT,
    build_form,
    read_address,
    read_array,
    read_captioner,
    read_captions,
    read_grounder,
    read_groundings,
    read_json_answer,
    read_model_info,
    read_phrase_scores,
    read_refusal,
    read_region_lists,
    read_vectors,
    read_warnings,
    shift_refusal,
    split_batches,
)

__all__ = [
    "CaptionerInfo",
    "GrounderInfo",
    "Groundings",
    "ModelInfo",
    "PhraseScores",
    "RegionVectors",
    "Regions",
    "VectorizerClient",
]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2
NO_SUCH_ROUTE = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)
BUSY_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)  # before each retry after one of RETRIED_STATUSES
# Busy; or a balancer lost the sidecar of a request that was too large to be sent to another one.
RETRIED_STATUSES = (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE)
CONNECT_SECONDS = 5.0
# A sidecar that ends closes the connections of its clients, perhaps while one of them is used.
LOST_CONNECTION = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
STATE_SECONDS = 15.0  # for /meta and ready
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
REQUEST_STATUSES = (401, 403, 404, 405, 408)  # of the statuses under 500, those that are not about an image

RowT = TypeVar("RowT")


class VectorizerClient:
    """A sidecar at `url` (`http://user:password@host:port` sends HTTP Basic, `api_key` a bearer). A context manager.

    Every method raises SidecarUnreachable where no sidecar responds, and SidecarRefused where it returns an error.
    Warnings of the sidecar (a text was truncated) are logged by this module's logger.

        with VectorizerClient("http://localhost:9090") as sidecar:
            vectors = sidecar.embed_texts(["a red apple"])  # (1, D) float32
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
        self._has_file_route = True  # until a 404: Weaviate's own container has none

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def meta(self) -> ModelInfo:
        """The sidecar's model. Raises SidecarRefused if it is not a sidecar of this project.

        Raises SidecarUnreachable while the model is being loaded.
        """
        info = read_model_info(self._request_meta(), self.url)
        self._dimension = info.dimension
        return info

    def grounder(self) -> GrounderInfo | None:
        """What finds regions in the sidecar, None where nothing does. Raises as `meta` does."""
        return read_grounder(self._request_meta())

    def captioner(self) -> CaptionerInfo | None:
        """What writes captions in the sidecar, None where nothing does. Raises as `meta` does."""
        return read_captioner(self._request_meta())

    def _request_meta(self) -> dict[str, Any]:
        try:
            return read_json_answer(self._http.request("GET", protocol.META), self.url)
        except SidecarRefused as refusal:
            if refusal.status == httpx.codes.SERVICE_UNAVAILABLE:
                raise SidecarUnreachable(f"the sidecar at {self.url} is not ready: {refusal}") from refusal
            raise

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """(N, D) float32, in the order of `texts`; no texts: (0, D). Raises Mismatch if the dimension changes."""
        return self._embed(texts, self._request_texts)

    def embed_images(self, images: Sequence[bytes]) -> Vectors:
        """(N, D) float32 of image files' bytes, in order. One bad file fails all; the error has its index."""
        return self._embed(images, self._request_images)

    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        """For each file its vector (D,), or why the sidecar rejected this one."""
        batches = split_batches(images) if images else ()
        return [outcome for batch in batches for outcome in try_each(images[batch], self._list_vectors)]

    def propose_regions(
        self, images: Sequence[bytes], limit: int = 10, vectors: bool = False
    ) -> list[Regions | SidecarRefused]:
        """For each file its regions, the most object-like first, or why the sidecar rejected this one.

        `vectors`: with those of the crops, in the space of the images. Raises SidecarRefused with status 501 where
        the sidecar has no grounder that works without phrases.
        """
        batches = split_batches(images) if images else ()
        request = partial(self._request_regions, limit=limit, vectors=vectors)
        return [outcome for batch in batches for outcome in try_each(images[batch], request)]

    def ground(self, image: bytes, phrases: Sequence[Sequence[str]]) -> Groundings:
        """All regions of a file against all phrases, each a list of prompts: (P, N) similarities and probabilities.

        Raises SidecarRefused with status 501 where the sidecar has no grounder.
        """
        body = self._request_phrases({protocol.IMAGE: encode_base64(image)}, phrases)
        return read_groundings(body, len(phrases), self.url)

    def score_regions(self, regions: RegionVectors, phrases: Sequence[Sequence[str]]) -> PhraseScores:
        """As `ground`, of regions that were found before: no picture is read, and the sidecar needs no grounder.

        A sidecar of an earlier version refuses it (`lacks_stored_regions`).
        """
        objectness = [None if np.isnan(each) else each for each in regions.objectness_n.tolist()]
        given = {protocol.VECTORS: regions.vectors_nd.tolist(), protocol.OBJECTNESS: objectness}
        body = self._request_phrases({protocol.GIVEN_REGIONS: given}, phrases)
        return read_phrase_scores(body, len(phrases), len(objectness), self.url)

    def _request_phrases(self, subject: dict[str, Any], phrases: Sequence[Sequence[str]]) -> dict[str, Any]:
        request = {**subject, protocol.PHRASES: [list(prompts) for prompts in phrases]}
        body = read_json_answer(self._http.post(protocol.GROUND, json=request), self.url)
        for warning in read_warnings(body, 0, protocol.PHRASES):
            logger.warning("%s", warning)
        return body

    def caption_each_image(self, images: Sequence[bytes]) -> list[str | SidecarRefused]:
        """For each file its caption, or why the sidecar rejected this one.

        A caption takes up to seconds: send few files at once. Raises SidecarRefused with status 501 where the sidecar
        has no captioner.
        """
        batches = split_batches(images) if images else ()
        return [outcome for batch in batches for outcome in try_each(images[batch], self._request_captions)]

    def _request_captions(self, images: Sequence[bytes]) -> list[str]:
        request = {protocol.IMAGES: list(map(encode_base64, images))}
        body = read_json_answer(self._http.post(protocol.CAPTION, json=request), self.url)
        return read_captions(body, len(images), self.url)

    def _request_regions(self, images: Sequence[bytes], limit: int, vectors: bool) -> list[Regions]:
        request = {
            protocol.IMAGES: list(map(encode_base64, images)),
            protocol.LIMIT: limit,
            protocol.VECTORS: vectors,
        }
        body = read_json_answer(self._http.post(protocol.REGIONS, json=request), self.url)
        return read_region_lists(body, len(images), vectors, self.url)

    def _list_vectors(self, images: Sequence[bytes]) -> list[Vectors]:
        return list(self.embed_images(images))

    def wait_until_ready(self, seconds: float) -> None:
        """Return once the model is loaded. Raises SidecarUnreachable after `seconds`, with the last error."""
        deadline = time.monotonic() + seconds
        while (reason := self._find_readiness_error()) is not None:
            if time.monotonic() >= deadline:
                raise SidecarUnreachable(f"the sidecar at {self.url} is not ready after {seconds:g} s: {reason}")
            time.sleep(POLL_SECONDS)

    def _find_readiness_error(self) -> str | None:
        try:
            self._http.request("GET", protocol.READY)
        except (SidecarRefused, SidecarUnreachable) as error:
            return str(error)
        return None

    def _embed(self, items: Sequence[ItemT], request: Callable[[Sequence[ItemT], int], Vectors]) -> Vectors:
        if not items:
            return np.empty((0, self._dimension or self.meta().dimension), dtype=np.float32)
        return np.concatenate([self._embed_batch(request, items[batch], batch.start) for batch in split_batches(items)])

    def _embed_batch(
        self, request: Callable[[Sequence[ItemT], int], Vectors], items: Sequence[ItemT], start: int
    ) -> Vectors:
        """The vectors of the caller's items from `start` on. Errors have the caller's indexes."""
        try:
            vectors = request(items, start)
        except SidecarRefused as refusal:
            raise shift_refusal(refusal, start) from refusal
        self._check_dimension(vectors.shape[1])
        return vectors

    def _request_texts(self, texts: Sequence[str], start: int) -> Vectors:
        return self._vectorize(protocol.TEXTS, protocol.TEXT_VECTORS, texts, start)

    def _request_images(self, images: Sequence[bytes], start: int) -> Vectors:
        """As files, or as base64 where the sidecar has no such route."""
        if self._has_file_route:
            content, headers = build_form(images)
            try:
                response = self._http.post(protocol.VECTORIZE_IMAGES, content=content, headers=headers)
                return read_array(response, len(images), self.url)
            except SidecarRefused as refusal:
                if refusal.status not in NO_SUCH_ROUTE:
                    raise
                self._has_file_route = False
        texts = list(map(encode_base64, images))
        return self._vectorize(protocol.IMAGES, protocol.IMAGE_VECTORS, texts, start)

    def _vectorize(self, field: str, vector_field: str, items: Sequence[str], start: int) -> Vectors:
        request: dict[str, Any] = {field: list(items)}
        body = read_json_answer(self._http.post(protocol.VECTORIZE, json=request), self.url)
        for warning in read_warnings(body, start):
            logger.warning("%s", warning)
        return read_vectors(body.get(vector_field), len(items), self.url)

    def _check_dimension(self, dimension: int) -> None:
        if dimension != (self._dimension or dimension):
            raise Mismatch(
                f"the sidecar at {self.url} answered {dimension} dimensions after {self._dimension}: "
                "its model was changed meanwhile; start again"
            )
        self._dimension = dimension


class SidecarHttp:
    """HTTP with a sidecar: credentials, timeouts, retries while it is busy, and its failures as errors of this project.

    Every method raises SidecarUnreachable where no sidecar responds, and SidecarRefused where it returns an error.
    """

    def __init__(
        self,
        url: str,
        timeout_seconds: float,
        transport: httpx.BaseTransport | None,
        busy_waits_seconds: Sequence[float],
        api_key: str | None,
    ) -> None:
        address = read_address(url)
        self.url = str(address.copy_with(username="", password=""))  # safe to print: no password
        self._timeout_seconds = timeout_seconds
        self._busy_waits_seconds = busy_waits_seconds
        self._http = httpx.Client(
            base_url=self.url,
            auth=(address.username, address.password) if address.userinfo else None,
            headers={"Authorization": f"Bearer {api_key}"} if api_key and not address.userinfo else None,
            transport=transport,
            trust_env=address.host not in LOOPBACK,  # a company's HTTP_PROXY cannot reach this machine's loopback
        )

    def close(self) -> None:
        self._http.close()

    def post(self, path: str, **request: Any) -> httpx.Response:
        """As `request`, by POST, with retries after RETRIED_STATUSES."""
        for seconds in self._busy_waits_seconds:
            try:
                return self.request("POST", path, **request)
            except SidecarRefused as refusal:
                if refusal.status not in RETRIED_STATUSES:
                    raise
            time.sleep(seconds)
        return self.request("POST", path, **request)

    def request(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The successful response."""
        try:
            response = self._send(method, path, **request)
        except httpx.TimeoutException as error:
            raise SidecarUnreachable(
                f"the sidecar at {self.url} did not answer in time ({describe_http_error(error)})"
            ) from error
        except httpx.HTTPError as error:
            raise SidecarUnreachable(
                f"no sidecar answers at {self.url} ({describe_http_error(error)}); start one with "
                "`clip-vectorizer serve`, or name another with VECTORIZER_URL"
            ) from error
        if not response.is_success:
            raise read_refusal(response, self.url)
        return response

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send it; once more if its connection is lost. No request changes the sidecar, so each may be repeated."""
        try:
            return self._http.request(method, path, timeout=self._timeout(path), **request)
        except LOST_CONNECTION:
            return self._http.request(method, path, timeout=self._timeout(path), **request)

    def _timeout(self, path: str) -> httpx.Timeout:
        """Work may wait in a queue; the routes that report the sidecar's state never do."""
        works = path.startswith((protocol.VECTORIZE, protocol.REGIONS, protocol.GROUND, protocol.CAPTION))
        seconds = self._timeout_seconds if works else min(self._timeout_seconds, STATE_SECONDS)
        return httpx.Timeout(seconds, connect=min(self._timeout_seconds, CONNECT_SECONDS))


def describe_http_error(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def encode_base64(image: bytes) -> str:
    return base64.b64encode(image).decode("ascii")


def lacks_stored_regions(refusal: SidecarRefused) -> bool:
    """Whether a refusal of `score_regions` is that of an earlier version, which has no such route or wants an image."""
    wants_image = refusal.status == httpx.codes.BAD_REQUEST and str(refusal).startswith("image is missing")
    return wants_image or refusal.status in NO_SUCH_ROUTE


def try_each(
    images: Sequence[bytes], request: Callable[[Sequence[bytes]], Sequence[RowT]]
) -> list[RowT | SidecarRefused]:
    """For each image its row or its refusal. `request` returns one row each, or raises SidecarRefused for all.

    The good ones are sent once more: our sidecar lists all bad ones, and has the good ones' vectors in its cache.
    """
    if not images:
        return []
    try:
        return list(request(images))
    except SidecarRefused as refusal:
        if not 400 <= refusal.status < 500 or refusal.status in REQUEST_STATUSES:
            raise  # not about an image: a retry would fail again
        if refusal.refused:
            return try_others(refusal, images, request)
        if len(images) == 1:
            return [SidecarRefused(refusal.status, refusal.problem.reason if refusal.problem else str(refusal))]
    half = len(images) // 2  # a sidecar that lists one bad image at most, or a request that is too large
    return try_each(images[:half], request) + try_each(images[half:], request)


def try_others(
    refusal: SidecarRefused, images: Sequence[bytes], request: Callable[[Sequence[bytes]], Sequence[RowT]]
) -> list[RowT | SidecarRefused]:
    """The outcomes of all images, of which `refusal` lists the bad ones."""
    bad = {index: SidecarRefused(refusal.status, reason) for index, reason in refusal.refused.items()}
    good = iter(try_each([image for index, image in enumerate(images) if index not in bad], request))
    return [bad[index] if index in bad else next(good) for index in range(len(images))]
