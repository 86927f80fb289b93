"""Images that a caller passes in: paths, addresses, bytes and PIL images, read and embedded.

D dimensions
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx
from PIL import Image

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard
from clip_vectorizer.boxes import WHOLE
from clip_vectorizer.errors import ImageRefused, InputError, SidecarRefused
from clip_vectorizer.guarded_http import GuardedTransport
from clip_vectorizer.images.line_grid import LineGrid, measure_line_grid
from clip_vectorizer.images.opener import decode_image, encode_plain, make_plain, make_upright
from clip_vectorizer.public_urls import mask_user, strip_secrets
from clip_vectorizer.region_crops import cut_region
from clip_vectorizer.vectors import Vectors

MAX_BODY_BYTES = 112 * 1024 * 1024  # a sidecar's default limit of a request
MAX_NAME_LENGTH = 200  # letters of a path in an error message
MAX_DOWNLOAD_BYTES = 50_000_000
STEP_TIMEOUT_SECONDS = 20.0  # to connect, and between two pieces
DOWNLOAD_TIMEOUT_SECONDS = 60.0
MAX_REDIRECTS = 5
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity"}
SCHEMES = ("http://", "https://")
EMBED_BATCH_SIZE = 32  # images per request; also how many results wait for each other

ImageInput = str | os.PathLike[str] | bytes | Image.Image


class ImageBatchEncoder(Protocol):
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An image with its vector, or with the reason why it has none."""

    path: str  # as the caller gave it, an address without its password and signature; or images[INDEX]
    vector: Vectors | None  # (D,) float32
    error: str = ""


def embed_images(
    images: Iterable[ImageInput], encoder: ImageBatchEncoder, guard: AddressGuard = PUBLIC_ONLY
) -> Iterator[list[EmbeddedImage]]:
    """Yield batches in order, each image with its vector or with the reason why it has none.

    `guard`: which servers may be contacted for images that are addresses.
    """
    numbered = enumerate(images)
    while batch := list(islice(numbered, EMBED_BATCH_SIZE)):
        yield embed_batch([(name_image(image, index), image) for index, image in batch], encoder, guard)


def embed_image(image: ImageInput, encoder: ImageBatchEncoder, guard: AddressGuard = PUBLIC_ONLY) -> Vectors:
    """Return the vector (D,) of one image. Raises InputError that names the image."""
    [embedded] = embed_batch([(name_image(image, 0), image)], encoder, guard)
    if embedded.vector is None:
        raise InputError(f"{shorten_name(embedded.path)}: {embedded.error}")
    return embedded.vector


@dataclass(frozen=True, slots=True, eq=False)
class CornerPicture:
    """A corner of a page: the file that is embedded, as regions are cut, and where its rules are."""

    file: bytes
    line_grid: LineGrid


def read_corner(image: ImageInput, corner: str, guard: AddressGuard = PUBLIC_ONLY) -> CornerPicture:
    """Read an image that is a corner of a page. Raises InputError that names the image."""
    try:
        data = read_or_error(image, guard)
        if isinstance(data, InputError):
            raise data
        pixels = decode_image(data).pixels
    except (InputError, ImageRefused) as error:
        raise InputError(f"{shorten_name(name_image(image, 0))}: {error}") from error
    return CornerPicture(encode_plain(cut_region(pixels, WHOLE)), measure_line_grid(pixels, corner))


def shorten_name(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}..."


def embed_batch(
    images: Sequence[tuple[str, ImageInput]], encoder: ImageBatchEncoder, guard: AddressGuard
) -> list[EmbeddedImage]:
    files = [read_or_error(image, guard) for _, image in images]
    vectors = iter(encoder.embed_each_image([file for file in files if isinstance(file, bytes)]))
    results = [next(vectors) if isinstance(file, bytes) else file for file in files]
    return [build_embedded_image(name, result) for (name, _), result in zip(images, results, strict=True)]


def build_embedded_image(name: str, result: Vectors | Exception) -> EmbeddedImage:
    return EmbeddedImage(name, None, str(result)) if isinstance(result, Exception) else EmbeddedImage(name, result)


def name_image(image: ImageInput, index: int) -> str:
    """Return the path, an address without its secrets, or for an image that has neither its index."""
    if not isinstance(image, str | os.PathLike):
        return f"images[{index}]"
    return hide_secrets(os.fspath(image))


def read_or_error(image: ImageInput, guard: AddressGuard) -> bytes | InputError:
    try:
        return read_image_bytes(image, guard)
    except IsADirectoryError:
        return InputError("a folder, and one image is expected; name a file in it")
    except OSError as error:
        return InputError(error.strerror or str(error))
    except InputError as error:
        return error
    except ValueError as error:  # a name with NUL in it
        return InputError(str(error))


def read_image_bytes(image: ImageInput, guard: AddressGuard) -> bytes:
    """Return a file that every sidecar reads. Raises OSError (no such file), InputError (empty, a failed download)."""
    if isinstance(image, Image.Image):
        return encode_plain(make_upright(image))
    data = image if isinstance(image, bytes) else read_location(image, guard)
    if not data:
        raise InputError("the file is empty (0 bytes)")
    return make_plain(data)


def read_location(name: str | os.PathLike[str], guard: AddressGuard) -> bytes:
    return download_image(name, guard) if isinstance(name, str) and is_http_url(name) else read_file(Path(name))


def read_file(path: Path) -> bytes:
    """Read with a limit, not by size: a pipe and a device have none."""
    with path.open("rb") as file:
        return read_limited(file)


def read_limited(file: BinaryIO, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read all of a file. Raises InputError for more than any sidecar takes, before it fills the memory."""
    data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise InputError(f"larger than {max_bytes:,} bytes; make it smaller")
    return data


def hide_secrets(name: str) -> str:
    """Return a path as it is, and an address without its password and signature.

    >>> hide_secrets("https://me:secret@example.com/owl.png?id=3&X-Amz-Signature=secret"), hide_secrets("owl.png")
    ('https://example.com/owl.png?id=3', 'owl.png')
    """
    if not is_http_url(name):
        return name
    try:
        return strip_secrets(name)
    except ValueError:  # brackets that do not close
        return mask_user(name)


def is_http_url(name: object) -> bool:
    return isinstance(name, str) and name.lower().startswith(SCHEMES)


def download_image(
    url: str,
    guard: AddressGuard = PUBLIC_ONLY,
    max_bytes: int = MAX_DOWNLOAD_BYTES,
    timeout_seconds: float = DOWNLOAD_TIMEOUT_SECONDS,
) -> bytes:
    """Download within a size and a time. Raises InputError without the address, which the caller adds."""
    try:
        with (
            open_client(guard) as client,
            client.stream("GET", url, headers=HEADERS) as response,
        ):
            return read_body(response, max_bytes, time.monotonic() + timeout_seconds)
    except httpx.TimeoutException:
        raise InputError(
            f"no response within {STEP_TIMEOUT_SECONDS:g} s; download it, and search with the file"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise InputError(f"cannot be downloaded ({error or type(error).__name__}); check the address") from None


def open_client(guard: AddressGuard) -> httpx.Client:
    return httpx.Client(
        timeout=STEP_TIMEOUT_SECONDS,
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        transport=GuardedTransport(guard, httpx.create_ssl_context()),
    )


def read_body(response: httpx.Response, max_bytes: int, deadline: float) -> bytes:
    if not response.is_success:
        raise InputError(f"the server returned {response.status_code} {response.reason_phrase}; check the address")
    body = bytearray()
    for piece in response.iter_raw():  # unpacked, a few bytes could become very many
        body += piece
        if len(body) > max_bytes:
            raise InputError(f"larger than {max_bytes:,} bytes; make it smaller, and search with the file")
        if time.monotonic() > deadline:
            raise InputError("the download takes too long; download it, and search with the file")
    return bytes(body)
