"""What may be searched with or classified: a path, an address, bytes, or a PIL image. All become a file's bytes.

D dimensions

An image from an http:// or https:// address, within a size and a time.
"""

import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx
from PIL import Image, ImageOps

from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.images import upright_rgb
from clip_vectorizer.vectors import Vectors

MAX_BODY_BYTES = 112 * 1024 * 1024  # a sidecar takes no more, unless it is told to
MAX_NAME_LENGTH = 200  # in a message
MAX_DOWNLOAD_BYTES = 50_000_000
STEP_TIMEOUT_SECONDS = 20.0  # to connect, and between two pieces
DOWNLOAD_TIMEOUT_SECONDS = 60.0
MAX_REDIRECTS = 5
SCHEMES = ("http://", "https://")
EMBED_BATCH_SIZE = 32  # files embedded by one request; also how many results wait for each other

ImageInput = str | os.PathLike[str] | bytes | Image.Image


class ImageBatchEncoder(Protocol):
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image on its way: its vector (D,), or why it has none."""

    path: str
    vector: Vectors | None
    error: str = ""


def embed_images(pictures: Iterable[ImageInput], encoder: ImageBatchEncoder) -> Iterator[list[EmbeddedImage]]:
    """In batches and in order, each picture with its vector or with the reason why it has none."""
    numbered = enumerate(pictures)
    while batch := list(islice(numbered, EMBED_BATCH_SIZE)):
        yield embed_batch([(name_image(picture, index), picture) for index, picture in batch], encoder)


def embed_image(picture: ImageInput, encoder: ImageBatchEncoder) -> Vectors:
    """The vector (D,) of one picture. Raises InputError that names it."""
    [embedded] = embed_batch([(name_image(picture, 0), picture)], encoder)
    if embedded.vector is None:
        raise InputError(f"{shorten_name(embedded.path)}: {embedded.error}")
    return embedded.vector


def shorten_name(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}..."


def embed_batch(pictures: Sequence[tuple[str, ImageInput]], encoder: ImageBatchEncoder) -> list[EmbeddedImage]:
    files = [read_or_error(picture) for _, picture in pictures]
    answers = iter(encoder.embed_each_image([file for file in files if isinstance(file, bytes)]))
    results = [next(answers) if isinstance(file, bytes) else file for file in files]
    return [build_embedded_image(name, result) for (name, _), result in zip(pictures, results, strict=True)]


def build_embedded_image(name: str, result: Vectors | Exception) -> EmbeddedImage:
    return EmbeddedImage(name, None, str(result)) if isinstance(result, Exception) else EmbeddedImage(name, result)


def name_image(picture: ImageInput, index: int) -> str:
    """The path as it was given; pictures without one are told apart by their place."""
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else f"images[{index}]"


def read_or_error(picture: ImageInput) -> bytes | InputError:
    try:
        return read_image_bytes(picture)
    except OSError as error:
        return InputError(error.strerror or str(error))
    except InputError as error:
        return error
    except ValueError as error:  # a name with NUL in it
        return InputError(str(error))


def read_image_bytes(picture: ImageInput) -> bytes:
    """Raises OSError (no such file, truncated), InputError (an empty file, an address that gives none)."""
    if isinstance(picture, Image.Image):
        return encode_png(picture)
    data = picture if isinstance(picture, bytes) else read_location(picture)
    if not data:
        raise InputError("the file is empty (0 bytes)")
    return data


def read_location(name: str | os.PathLike[str]) -> bytes:
    return download_image(name) if isinstance(name, str) and is_http_url(name) else read_file(Path(name))


def read_file(path: Path) -> bytes:
    """A pipe and a device have no size that could be looked at first."""
    with path.open("rb") as file:
        return read_limited(file)


def read_limited(file: BinaryIO, most: int = MAX_BODY_BYTES) -> bytes:
    """All of it. Raises InputError for more than any sidecar takes, before it fills the memory."""
    data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"larger than {most:,} bytes; make it smaller")
    return data


def encode_png(image: Image.Image) -> bytes:
    """Upright and RGB first: the turn that a photograph's EXIF asks for would be lost with the EXIF."""
    with suppress(Exception):  # a broken EXIF block asks for nothing
        image = ImageOps.exif_transpose(image)  # in a copy, unlike upright_rgb: the caller keeps the picture as it was
    file = io.BytesIO()
    upright_rgb(image).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def is_http_url(name: object) -> bool:
    return isinstance(name, str) and name.lower().startswith(SCHEMES)


def download_image(
    address: str, most_bytes: int = MAX_DOWNLOAD_BYTES, longest_seconds: float = DOWNLOAD_TIMEOUT_SECONDS
) -> bytes:
    """The body. Raises InputError, without the address: whoever asked knows it."""
    try:
        with (
            httpx.Client(timeout=STEP_TIMEOUT_SECONDS, follow_redirects=True, max_redirects=MAX_REDIRECTS) as client,
            client.stream("GET", address, headers={"Accept": "image/*"}) as answer,
        ):
            return read_body(answer, most_bytes, time.monotonic() + longest_seconds)
    except httpx.TimeoutException:
        raise InputError(
            f"no answer within {STEP_TIMEOUT_SECONDS:g} s; download it, and search with the file"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise InputError(f"cannot be downloaded ({error or type(error).__name__}); check the address") from None


def read_body(answer: httpx.Response, most_bytes: int, deadline: float) -> bytes:
    if not answer.is_success:
        raise InputError(f"the server says {answer.status_code} {answer.reason_phrase}; check the address")
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > most_bytes:
            raise InputError(f"larger than {most_bytes:,} bytes; make it smaller, and search with the file")
        if time.monotonic() > deadline:
            raise InputError("the download takes too long; download it, and search with the file")
    return bytes(body)
