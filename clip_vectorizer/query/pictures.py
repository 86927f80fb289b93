"""What may be searched with or classified: a path, an address, bytes, or a PIL image. All become a file's bytes.

D dimensions
"""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

from PIL import Image, ImageOps

from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.pictures import upright_rgb
from clip_vectorizer.query.download import downloaded, is_address
from clip_vectorizer.query.zeroshot import IMAGES_A_BATCH, Embedded
from clip_vectorizer.vectors import Vectors

MAX_BODY_BYTES = 112 * 1024 * 1024  # a sidecar takes no more, unless it is told to
LONGEST_NAME = 200  # in a message

Picture = str | os.PathLike[str] | bytes | Image.Image


class ImageEncoder(Protocol):
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


def embedded_pictures(pictures: Iterable[Picture], encoder: ImageEncoder) -> Iterator[list[Embedded]]:
    """In batches and in order, each picture with its vector or with the reason why it has none."""
    numbered = enumerate(pictures)
    while batch := list(islice(numbered, IMAGES_A_BATCH)):
        yield embedded_batch([(name_of(picture, index), picture) for index, picture in batch], encoder)


def embedded_picture(picture: Picture, encoder: ImageEncoder) -> Vectors:
    """The vector (D,) of one picture. Raises InputError that names it."""
    [embedded] = embedded_batch([(name_of(picture, 0), picture)], encoder)
    if embedded.vector is None:
        raise InputError(f"{shorten(embedded.path)}: {embedded.error}")
    return embedded.vector


def shorten(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def embedded_batch(pictures: Sequence[tuple[str, Picture]], encoder: ImageEncoder) -> list[Embedded]:
    files = [file_or_error(picture) for _, picture in pictures]
    answers = iter(encoder.embed_each_image([file for file in files if isinstance(file, bytes)]))
    results = [next(answers) if isinstance(file, bytes) else file for file in files]
    return [embedded(name, result) for (name, _), result in zip(pictures, results, strict=True)]


def embedded(name: str, result: Vectors | Exception) -> Embedded:
    return Embedded(name, None, str(result)) if isinstance(result, Exception) else Embedded(name, result)


def name_of(picture: Picture, index: int) -> str:
    """The path as it was given; pictures without one are told apart by their place."""
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else f"images[{index}]"


def file_or_error(picture: Picture) -> bytes | InputError:
    try:
        return file_bytes(picture)
    except OSError as error:
        return InputError(error.strerror or str(error))
    except InputError as error:
        return error
    except ValueError as error:  # a name with NUL in it
        return InputError(str(error))


def file_bytes(picture: Picture) -> bytes:
    """Raises OSError (no such file, truncated), InputError (an empty file, an address that gives none)."""
    if isinstance(picture, Image.Image):
        return png_bytes(picture)
    data = picture if isinstance(picture, bytes) else read(picture)
    if not data:
        raise InputError("the file is empty (0 bytes)")
    return data


def read(name: str | os.PathLike[str]) -> bytes:
    return downloaded(name) if isinstance(name, str) and is_address(name) else file_content(Path(name))


def file_content(path: Path) -> bytes:
    """A pipe and a device have no size that could be looked at first."""
    with path.open("rb") as file:
        return at_most(file)


def at_most(file: BinaryIO, most: int = MAX_BODY_BYTES) -> bytes:
    """All of it. Raises InputError for more than any sidecar takes, before it fills the memory."""
    data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"larger than {most:,} bytes; make it smaller")
    return data


def png_bytes(image: Image.Image) -> bytes:
    """Upright and RGB first: the turn that a photograph's EXIF asks for would be lost with the EXIF."""
    with suppress(Exception):  # a broken EXIF block asks for nothing
        image = ImageOps.exif_transpose(image)  # in a copy, unlike upright_rgb: the caller keeps the picture as it was
    file = io.BytesIO()
    upright_rgb(image).save(file, format="PNG", compress_level=1)
    return file.getvalue()
