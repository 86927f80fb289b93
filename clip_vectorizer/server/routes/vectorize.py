"""The routes of vectors: POST /vectorize, which Weaviate calls, and POST /vectorize/images.

The second accepts files as a form and returns float32: base64 and JSON numbers cost as much as a small model.

N files · D dimensions
"""

import io
import re
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from starlette.responses import Response

from clip_vectorizer.errors import IMAGE_FORMATS, BadRequest, ImageRefused
from clip_vectorizer.protocol import BASE64_HINT, NPY, TEXTS, format_truncated
from clip_vectorizer.server.body import parse_body, respond_to_body
from clip_vectorizer.server.codec import EmbedInputs, check_item_count, encode_vectors, parse_vectorize
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.middleware import JSON, RouteHandler, TrackedRequest
from clip_vectorizer.server.routes.item_errors import item_errors
from clip_vectorizer.server.service import Service
from clip_vectorizer.vectors import Vectors

BASE64_IMAGE = f"{BASE64_HINT}{IMAGE_FORMATS}".removeprefix("; ")
FORM_IMAGE = f"send a {IMAGE_FORMATS}"
FORM_HINT = "send a form of files, as `curl --form image=@photo.jpg` does"
FORM = re.compile(r"multipart/form-data\s*;", re.IGNORECASE)
BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)', re.IGNORECASE)
LINE_BREAK = b"\r\n"  # before a delimiter it is part of the delimiter
BLANK_LINE = b"\r\n\r\n"
AFTER_DELIMITER = re.compile(rb"[ \t]*\r\n")
MAX_HEADERS = 16_384  # bytes, per part


def vectorize_handler(service: Service) -> RouteHandler:
    """`POST /vectorize`: JSON in, JSON out."""

    async def respond(body: bytes, times: RequestTimes) -> Response:
        inputs = await parse_body(lambda body: parse_vectorize(body, service.limits), body)
        times.parse = times.since_start()
        with item_errors(BASE64_IMAGE):
            embedded = await service.embed(inputs, times)
        start = time.perf_counter()
        warnings = [format_truncated(TEXTS, index, tokens) for index, tokens in embedded.truncated.items()]
        content = encode_vectors(embedded.texts, embedded.images, warnings, embedded.truncated)
        times.serialise = time.perf_counter() - start
        return Response(content, media_type=JSON)

    async def vectorize(request: TrackedRequest) -> Response:
        return await respond_to_body(service, request, respond)

    return vectorize


def images_handler(service: Service) -> RouteHandler:
    """`POST /vectorize/images`: a form of files in, numpy's file format out."""

    async def images(request: TrackedRequest) -> Response:
        async def respond(body: bytes, times: RequestTimes) -> Response:
            files = parse_files(body, boundary, lambda count: check_item_count(0, count, service.limits))
            times.parse = times.since_start()
            inputs = EmbedInputs([], [file or ImageRefused(422, "0 bytes") for file in files])
            with item_errors(FORM_IMAGE):
                embedded = await service.embed(inputs, times)
            start = time.perf_counter()
            content = encode_npy(embedded.images, service.info.dimension)
            times.serialise = time.perf_counter() - start
            return Response(content, media_type=NPY)

        boundary = parse_boundary(request.headers.get("content-type", ""))
        return await respond_to_body(service, request, respond)

    return images


def encode_npy(rows: list[Vectors], dimension: int) -> bytes:
    """(N, D) float32 in numpy's file format, row after row; no rows: (0, D)."""
    buffer = io.BytesIO()
    rows_nd = np.stack(rows) if rows else np.empty((0, dimension))
    np.lib.format.write_array(buffer, np.ascontiguousarray(rows_nd, dtype="<f4"), allow_pickle=False)
    return buffer.getvalue()


def parse_boundary(content_type: str) -> bytes:
    """Raises BadRequest for any other content type."""
    found = FORM.match(content_type) and BOUNDARY.search(content_type)
    if not found:
        raise BadRequest(
            f"Content-Type is {content_type[:100]!r}, not multipart/form-data with a boundary; {FORM_HINT}"
        )
    return (found[1] or found[2]).encode("latin-1", "replace")


def parse_files(body: bytes, boundary: bytes, check: Callable[[int], None]) -> list[bytes]:
    """The content of every part, in order. `check` is called with their number before any is copied.

    The form (multipart/form-data, RFC 7578) is in memory, so `bytes.find` does the work, as fast as python-multipart
    and with one dependency less. Raises BadRequest for an incomplete form.
    """
    line = b"--" + boundary
    places = find_delimiters(body, line)
    if not places or body[places[-1] + len(line) :][:2] != b"--":
        raise BadRequest(
            f"the form has no end (--{boundary.decode('latin-1')}--): it was cut off, or is no form; {FORM_HINT}"
        )
    check(len(places) - 1)
    parts = enumerate((place + len(line), after - len(LINE_BREAK)) for place, after in pairwise(places))
    return [body[find_content(body, start, end, part) : end] for part, (start, end) in parts]


def find_delimiters(body: bytes, line: bytes) -> list[int]:
    """The position of each delimiter, up to the closing one."""
    places = []
    place = 0 if body.startswith(line) else body.find(b"\r\n" + line) + 2
    while place != 1:  # not found
        places.append(place)
        after = place + len(line)
        if body[after : after + 2] == b"--":
            break
        place = body.find(b"\r\n" + line, after) + 2
    return places


def find_content(body: bytes, start: int, end: int, part: int) -> int:
    """The position of the content of the part whose headers start at `start`."""
    begun = AFTER_DELIMITER.match(body, start)
    blank = body.find(BLANK_LINE, begun.end() - 2, min(end, begun.end() + MAX_HEADERS)) if begun else -1
    if blank < 0:
        raise BadRequest(f"part {part} of the form is not headers, an empty line and content; {FORM_HINT}")
    return blank + len(BLANK_LINE)
