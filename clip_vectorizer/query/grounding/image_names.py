"""Which picture a name means: a file, an address, or an image of the collection."""

import os
from itertools import islice
from pathlib import Path

from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import find_near_name
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageInput, is_http_url

GroundInput = ImageInput | Hit | StoredImage
MAX_NEAR_FILES = 10_000  # that a mistyped name is compared with


def find_stored_key(image: GroundInput, stored: bool) -> str | None:
    """The path or id of a stored image; None for a picture to send to the sidecar.

    A name is a file's where there is such a file, or an address, and not `stored`; else it is a stored image's.
    Raises InputError for `stored` with a picture that has no name.
    """
    if isinstance(image, Hit | StoredImage):
        return image.id
    if not isinstance(image, str | os.PathLike):
        if stored:
            raise InputError("stored images have a path or an id; this picture has no name, so remove stored")
        return None
    name = os.fspath(image)
    is_file = not stored and (is_http_url(name) or exists(name))
    return None if is_file else name


def exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # a name that is too long, or with NUL in it
        return False


def list_near_files(key: str) -> list[str]:
    """The file that `key` was probably meant to name, a path of the same kind; none where none in its folder is near.

    Names are compared without the folder, for in a long path almost all letters of any two files are the same.
    """
    path = Path(key)
    try:
        near = find_near_name(path.name, [each.name for each in islice(path.parent.iterdir(), MAX_NEAR_FILES)])
    except (OSError, ValueError):
        return []
    return [] if near is None else [str(path.parent / near)]
