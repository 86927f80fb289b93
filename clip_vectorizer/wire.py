"""A client's side of the wire: addresses, requests of a fair size, and answers, checked.

A short, broken or foreign answer must never reach the database.

N items · D dimensions
"""

import io
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import httpx
import numpy as np

from clip_vectorizer.errors import SettingsError, SidecarRefused
from clip_vectorizer.models.encoder import ModelInfo  # noqa: TID251 - the contract alone; encoder.py has no torch
from clip_vectorizer.protocol import ERROR, META, NPY, REFUSED
from clip_vectorizer.vectors import Vectors

MAX_BATCH_ITEMS = 64  # a request; larger ones only make the sidecar hold more decoded images at once
MAX_BATCH_SIZE = (
    16_000_000  # bytes or characters of a request of several items: 64 large photographs pass every body limit
)

ItemT = TypeVar("ItemT", str, bytes)


def read_address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url.rstrip("/"))
    except httpx.InvalidURL as error:
        raise SettingsError(f"VECTORIZER_URL={url!r}: {error}; write it like http://localhost:9090") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise SettingsError(f"VECTORIZER_URL={url!r}: not an address; write it like http://localhost:9090")
    return address


def split_batches(items: Sequence[str] | Sequence[bytes]) -> Iterator[slice]:
    """Consecutive parts within both limits of a request; an item over the limit of size goes alone."""
    start, size = 0, 0
    for index, item in enumerate(items):
        if index > start and (index - start == MAX_BATCH_ITEMS or size + len(item) > MAX_BATCH_SIZE):
            yield slice(start, index)
            start, size = index, 0
        size += len(item)
    yield slice(start, len(items))


def build_form(files: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
    """A form of files (multipart/form-data), and its headers. No file holds the boundary but by a chance of 2^-128."""
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="image"\r\n\r\n'.encode()
    pieces = [piece for file in files for piece in (head, file, b"\r\n")]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()]), {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Accept": NPY,
    }


def read_json_answer(response: httpx.Response, url: str) -> dict[str, Any]:
    """The JSON object of a good answer. Raises SidecarRefused when it is none."""
    body = parse_json_object(response)
    if body is None or body.get(ERROR):
        raise read_refusal(response, url)
    return body


def read_refusal(response: httpx.Response, url: str) -> SidecarRefused:
    """With the sidecar's own sentence."""
    body = parse_json_object(response) or {}
    if isinstance(body.get(ERROR), str):
        return SidecarRefused(response.status_code, body[ERROR], read_refused(body.get(REFUSED)))
    return SidecarRefused(
        response.status_code,
        f"{url} answered {response.status_code} and no JSON of a sidecar ({response.text[:80]!r}); "
        "is something else running there?",
    )


def read_refused(refused: Any) -> dict[int, str]:
    pairs = refused.items() if isinstance(refused, dict) else ()
    return {int(index): str(reason) for index, reason in pairs if index.isdecimal()}


def parse_json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def read_model_info(body: dict[str, Any], url: str) -> ModelInfo:
    names = [field.name for field in fields(ModelInfo)]
    missing = [name for name in names if name not in body]
    if missing:
        raise SidecarRefused(
            httpx.codes.OK,
            f"{url}{META} does not tell {', '.join(missing)}: not a clip-vectorizer sidecar, or an older one; "
            "start one with `clip-vectorizer serve`",
        )
    return ModelInfo(**{name: body[name] for name in names})


def read_array(response: httpx.Response, count: int, url: str) -> Vectors:
    """As `read_vectors`, from numpy's file format."""
    try:
        rows = np.load(io.BytesIO(response.content), allow_pickle=False)
    except (ValueError, OSError, EOFError):
        rows = None
    return read_vectors(rows, count, url)


def read_vectors(rows: Any, count: int, url: str) -> Vectors:
    """(count, D) finite float32, or SidecarRefused."""
    try:
        with np.errstate(over="ignore"):  # too large for float32 is infinity, refused below
            vectors: Vectors = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError):
        vectors = np.empty(0, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != count or vectors.shape[1] == 0:
        raise SidecarRefused(httpx.codes.OK, f"{url} did not answer one vector for each of {count} items")
    if not np.isfinite(vectors).all():
        raise SidecarRefused(httpx.codes.OK, f"{url} answered a vector with NaN or infinity; its model is broken")
    return vectors


def shift_index(sentence: str, start: int) -> str:
    """`images[3]: ...` of the request that began at item `start`, counted as the caller counts."""
    return re.sub(r"^(texts|images)\[(\d+)\]", lambda hit: f"{hit[1]}[{int(hit[2]) + start}]", sentence)


def about_one_file(sentence: str) -> str:
    """A refusal of one image for people who named a file: no index, and no base64, which is the client's business."""
    return re.sub(r"; send (base64 of )?a ", "; it must be a ", re.sub(r"^images\[\d+\]: ", "", sentence))
