"""What `clip-search` looks for: TEXT, --image, --like, --vector, --plus and --minus, added up."""

import functools
import operator
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.pictures import at_most
from clip_vectorizer.query.searching.mixture import Mixture, image, stored, text, vector

STDIN = "-"
NOTHING = "say what to search with: TEXT, --image FILE, --like PATH, --vector FILE.npy, --plus or --minus TEXT"


def what_of(given: Mapping[str, Any]) -> Mixture:
    """The sum of all parts. Raises click.UsageError where there is none, InputError for one that cannot be used."""
    parts = list(parts_of(given))
    if not parts:
        raise click.UsageError(NOTHING)
    return functools.reduce(operator.add, parts)


def parts_of(given: Mapping[str, Any]) -> Iterator[Mixture]:
    if given["text"]:
        words = " ".join(given["text"])
        yield text(words) if given["plain"] else Mixture.parse(words)
    yield from (picture(name) for name in given["images"])
    yield from (stored(key) for key in given["like"])
    yield from (saved_vector(name) for name in given["vectors_of"])
    yield from (text(words) for words in given["plus"])
    yield from (-text(words) for words in given["minus"])


def picture(name: str) -> Mixture:
    """A file, an address, or - for standard input."""
    if name == STDIN:
        return image(standard_input())
    scheme, separator, _ = name.partition("://")
    if separator and scheme.lower() not in ("http", "https"):
        raise InputError(f"--image {name}: an address begins with https:// or http://")
    if not separator:
        check_file("--image", name)
    return image(name)


def standard_input() -> bytes:
    try:
        data = b"" if sys.stdin is None else at_most(sys.stdin.buffer)
    except InputError as error:
        raise InputError(f"--image -: {error}") from None
    if not data:
        raise InputError("--image -: standard input is closed or empty; send an image file's bytes there")
    return data


def saved_vector(name: str) -> Mixture:
    """(D,), or (1, D) as a sidecar answers for one image."""
    check_file("--vector", name)
    try:
        with Path(name).open("rb") as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
        return vector(values[0] if values.ndim == 2 and len(values) == 1 else values)
    except (OSError, ValueError, InputError) as error:
        raise InputError(f"--vector {name}: {error}; give a file of numpy.save that holds one vector") from error


def check_file(option: str, name: str) -> None:
    if not Path(name).exists():
        raise InputError(f"{option} {name}: no such file")
    if Path(name).is_dir():
        raise InputError(f"{option} {name}: a folder; name one file")


def words_of(given: Mapping[str, Any]) -> str:
    """The question in a person's words, for a title."""
    texts = [" ".join(given["text"])] if given["text"] else []
    title = " + ".join([*texts, *given["images"], *given["like"], *given["vectors_of"], *given["plus"]])
    title += "".join(f" - {words}" for words in given["minus"])
    title += f", towards {given['move_to']}" if given["move_to"] else ""
    return title + (f", away from {given['move_away']}" if given["move_away"] else "")
