"""The client's side of the protocol: addresses, requests of a limited size, and validated responses.

A short, broken or foreign response must never reach the database.

N items or regions · P phrases · D dimensions
"""

import io
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import httpx
import numpy as np

from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.errors import ItemProblem, SettingsError, SidecarRefused
from clip_vectorizer.models.captioning.captioner import (  # noqa: TID251 - the contract alone; it has no torch
    CaptionerInfo,
)
from clip_vectorizer.models.encoder import ModelInfo  # noqa: TID251 - the contract alone; encoder.py has no torch
from clip_vectorizer.models.grounding.grounder import (  # noqa: TID251 - the contract alone; it has no torch
    GrounderInfo,
    Groundings,
    PhraseScores,
    Regions,
)
from clip_vectorizer.protocol import (
    BOXES,
    CAPTION,
    CAPTIONER,
    CAPTIONS,
    ERROR,
    GROUND,
    GROUNDER,
    ITEM,
    META,
    NPY,
    OBJECTNESS,
    PROBABILITIES,
    REFUSED,
    REGION_LISTS,
    REGIONS,
    SIMILARITIES,
    TEXTS,
    TRUNCATED,
    VECTORS,
    WARNINGS,
    format_truncated,
)
from clip_vectorizer.public_urls import mask_user
from clip_vectorizer.vectors import Vectors

MAX_BATCH_ITEMS = 64  # per request; larger ones only make the sidecar hold more decoded images at once
MAX_BATCH_SIZE = 16_000_000  # bytes or characters of a request of several items: 64 large photos pass every body limit

ItemT = TypeVar("ItemT", str, bytes)


def read_address(url: str) -> httpx.URL:
    """The URL of a sidecar. Raises SettingsError."""
    try:
        address = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL as error:
        raise SettingsError(
            f"VECTORIZER_URL={mask_user(url)!r}: {error}; write it like http://localhost:9090"
        ) from error
    if address.scheme not in ("http", "https") or not address.host:
        raise SettingsError(f"VECTORIZER_URL={mask_user(url)!r}: not an address; write it like http://localhost:9090")
    return address


def split_batches(items: Sequence[str] | Sequence[bytes]) -> Iterator[slice]:
    """Consecutive slices within both limits of a request; an item over the size limit is sent alone.

    >>> [(part.start, part.stop) for part in split_batches(["a"] * 100)]
    [(0, 64), (64, 100)]
    """
    start, size = 0, 0
    for index, item in enumerate(items):
        if index > start and (index - start == MAX_BATCH_ITEMS or size + len(item) > MAX_BATCH_SIZE):
            yield slice(start, index)
            start, size = index, 0
        size += len(item)
    yield slice(start, len(items))


def build_form(files: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
    """A form of files (multipart/form-data) and its headers. A file holds the boundary with a chance of 2^-128."""
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="image"\r\n\r\n'.encode()
    pieces = [piece for file in files for piece in (head, file, b"\r\n")]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()]), {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Accept": NPY,
    }


def read_json_answer(response: httpx.Response, url: str) -> dict[str, Any]:
    """The JSON object of a successful response. Raises SidecarRefused for anything else."""
    body = parse_json_object(response)
    if body is None or body.get(ERROR):
        raise read_refusal(response, url)
    return body


def read_refusal(response: httpx.Response, url: str) -> SidecarRefused:
    """The error that a response holds, with the sidecar's own message."""
    body = parse_json_object(response) or {}
    if isinstance(body.get(ERROR), str):
        refused, problem = read_refused(body.get(REFUSED)), read_problem(body.get(ITEM))
        return SidecarRefused(response.status_code, body[ERROR], refused, problem)
    return SidecarRefused(
        response.status_code,
        f"{url} answered {response.status_code} and no JSON of a sidecar ({response.text[:80]!r}); "
        "is something else running there?",
    )


def parse_json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def read_refused(refused: Any) -> dict[int, str]:
    return {int(index): str(reason) for index, reason in numbered(refused)}


def read_problem(item: Any) -> ItemProblem | None:
    """The item that an error is about; None where the sidecar names none."""
    try:
        return ItemProblem(str(item["field"]), int(item["index"]), str(item["reason"]))
    except (TypeError, KeyError, ValueError):
        return None


def numbered(values: Any) -> list[tuple[str, Any]]:
    """The entries of a JSON object whose keys are indexes."""
    pairs = values.items() if isinstance(values, dict) else ()
    return [(index, value) for index, value in pairs if index.isdecimal()]


def shift_refusal(refusal: SidecarRefused, start: int) -> SidecarRefused:
    """The refusal of a request whose first item is the caller's item `start`, with the caller's indexes."""
    refused = {start + index: reason for index, reason in refusal.refused.items()}
    if refusal.problem is None:
        return SidecarRefused(refusal.status, str(refusal), refused)
    problem = ItemProblem(refusal.problem.field, start + refusal.problem.index, refusal.problem.reason)
    return SidecarRefused(refusal.status, str(problem), refused, problem)


def read_warnings(body: Mapping[str, Any], start: int, field: str = TEXTS) -> list[str]:
    """The warnings of a response; texts that were truncated with the caller's indexes, from `start`."""
    truncated = numbered(body.get(TRUNCATED))
    if truncated:
        return [format_truncated(field, start + int(index), tokens) for index, tokens in truncated]
    return [str(warning) for warning in body.get(WARNINGS) or ()]


def read_model_info(body: Mapping[str, Any], url: str) -> ModelInfo:
    """Raises SidecarRefused where `body` is not the `/meta` of a sidecar of this project.

    A field with a default may be absent: sidecars of earlier versions do not send `logit_bias`.
    """
    names = [field.name for field in fields(ModelInfo)]
    missing = [field.name for field in fields(ModelInfo) if field.name not in body and field.default is MISSING]
    if missing:
        raise SidecarRefused(
            httpx.codes.OK,
            f"{url}{META} lacks {', '.join(missing)}: not a clip-vectorizer sidecar, or an older one; "
            "start one with `clip-vectorizer serve`",
        )
    return ModelInfo(**{name: body[name] for name in names if name in body})


def read_array(response: httpx.Response, count: int, url: str) -> Vectors:
    """As `read_vectors`, from numpy's file format."""
    try:
        rows = np.load(io.BytesIO(response.content), allow_pickle=False)
    except (ValueError, OSError, EOFError):
        rows = None
    return read_vectors(rows, count, url)


def read_vectors(rows: Any, count: int, url: str) -> Vectors:
    """(count, D) finite float32. Raises SidecarRefused for anything else."""
    try:
        with np.errstate(over="ignore"):  # too large for float32 becomes infinity, which is rejected below
            vectors: Vectors = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError):
        vectors = np.empty(0, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != count or vectors.shape[1] == 0:
        raise SidecarRefused(httpx.codes.OK, f"{url} did not answer one vector for each of {count} items")
    if not np.isfinite(vectors).all():
        raise SidecarRefused(httpx.codes.OK, f"{url} answered a vector with NaN or infinity; its model is broken")
    return vectors


def read_grounder(body: Mapping[str, Any]) -> GrounderInfo | None:
    """What finds regions, from `/meta`; None where nothing does, or where the sidecar is of an earlier version."""
    found = body.get(GROUNDER)
    names = [field.name for field in fields(GrounderInfo)]
    if not isinstance(found, dict) or not {"name", "revision", "fused"} <= set(found):
        return None
    return GrounderInfo(**{name: found[name] for name in names if name in found})


def read_captioner(body: Mapping[str, Any]) -> CaptionerInfo | None:
    """What writes captions, from `/meta`; None where nothing does, or where the sidecar is of an earlier version."""
    found = body.get(CAPTIONER)
    names = [field.name for field in fields(CaptionerInfo)]
    if not isinstance(found, dict) or not all(name in found for name in names):
        return None
    return CaptionerInfo(**{name: str(found[name]) for name in names})


def read_captions(body: Mapping[str, Any], count: int, url: str) -> list[str]:
    """The captions of `count` images. Raises SidecarRefused for anything else."""
    captions = body.get(CAPTIONS)
    if not isinstance(captions, list) or len(captions) != count or not all(isinstance(each, str) for each in captions):
        raise SidecarRefused(httpx.codes.OK, f"{url}{CAPTION} did not answer a caption for each of {count} images")
    return captions


def read_region_lists(body: Mapping[str, Any], count: int, with_vectors: bool, url: str) -> list[Regions]:
    """The regions of each of `count` images. Raises SidecarRefused for anything else."""
    lists = body.get(REGION_LISTS)
    if not isinstance(lists, list) or len(lists) != count or not all(isinstance(each, dict) for each in lists):
        raise SidecarRefused(httpx.codes.OK, f"{url}{REGIONS} did not answer regions for each of {count} images")
    return [read_regions(each, with_vectors, url + REGIONS) for each in lists]


def read_regions(body: Mapping[str, Any], with_vectors: bool, url: str) -> Regions:
    objectness_n = read_scores(body.get(OBJECTNESS), (-1,), url)
    count = len(objectness_n)
    boxes_n4 = read_boxes(body.get(BOXES), count, url)
    if not with_vectors:
        return Regions(boxes_n4, objectness_n)
    rows = body.get(VECTORS)
    return Regions(boxes_n4, objectness_n, read_vectors(rows, count, url) if count else np.empty((0, 0), np.float32))


def read_groundings(body: Mapping[str, Any], phrases: int, url: str) -> Groundings:
    """All regions against `phrases` phrases. Raises SidecarRefused for anything else."""
    regions = read_regions(body, False, url + GROUND)
    scores = read_phrase_scores(body, phrases, len(regions.objectness_n), url)
    return Groundings(regions, scores.similarities_pn, scores.probabilities_pn, scores.truncated)


def read_phrase_scores(body: Mapping[str, Any], phrases: int, regions: int, url: str) -> PhraseScores:
    """`regions` regions against `phrases` phrases. Raises SidecarRefused for anything else."""
    similarities_pn, probabilities_pn = (
        read_scores(body.get(name), (phrases, regions), url + GROUND) for name in (SIMILARITIES, PROBABILITIES)
    )
    truncated = {int(index): int(tokens) for index, tokens in numbered(body.get(TRUNCATED))}
    return PhraseScores(similarities_pn, probabilities_pn, truncated)


def read_boxes(values: Any, count: int, url: str) -> BoxArray:
    """(count, 4) float32, each from its left top to its right bottom. Raises SidecarRefused for anything else."""
    boxes_n4 = read_scores(values, (count, 4), url)
    if (boxes_n4[:, 2:] < boxes_n4[:, :2]).any():
        raise SidecarRefused(httpx.codes.OK, f"{url} answered a box whose sides are the wrong way round")
    return boxes_n4


def read_scores(values: Any, shape: tuple[int, ...], url: str) -> ScoreArray:
    """Finite float32 of `shape`, (-1,): a row of any length. Raises SidecarRefused for anything else."""
    try:
        with np.errstate(over="ignore"):  # too large for float32 becomes infinity, which is rejected below
            scores: ScoreArray = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        scores = np.full((), np.nan, dtype=np.float32)
    expected = scores.shape if shape == (-1,) and scores.ndim == 1 else shape
    if scores.size == 0 and 0 in expected:
        scores = scores.reshape(expected)  # JSON has no columns where there are no rows
    if scores.shape != expected:
        raise SidecarRefused(httpx.codes.OK, f"{url} answered numbers of shape {scores.shape}, not {shape}")
    if not np.isfinite(scores).all():
        raise SidecarRefused(httpx.codes.OK, f"{url} answered NaN or infinity; its model is broken")
    return scores
