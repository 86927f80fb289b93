"""A gallery with known content, and functions that search and classify in it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import ImageSearch
from tests.stack.acceptance.gallery import COLUMNS, write_gallery
from tests.stack.acceptance.in_process import Command, connection, ran
from tests.stack.conftest import fresh_collection
from tests.stack.support import Stack


@pytest.fixture(scope="session")
def gallery_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gallery(tmp_path_factory.mktemp("gallery"))


@pytest.fixture(scope="session")
def gallery(stack: Stack, gallery_folder: Path) -> Iterator[str]:
    """The name of the collection that holds gallery.py's images."""
    for name in fresh_collection(stack):
        ran(stack.env, "clip-ingest", gallery_folder, "--collection", name, *COLUMNS)
        yield name


@pytest.fixture(scope="session")
def clip_search(stack: Stack, gallery: str) -> Command:
    """clip-search in the gallery."""
    return partial(in_collection, stack, gallery, "clip-search")


@pytest.fixture(scope="session")
def clip_classify(stack: Stack, gallery: str) -> Command:
    """clip-classify, of files or of the gallery."""
    return partial(in_collection, stack, gallery, "clip-classify")


def in_collection(stack: Stack, collection: str, command: str, *words: object, **more: object) -> object:
    """Run a command, with --collection unless it reads files only and would refuse that."""
    options = () if reads_only_files(command, words) else ("--collection", collection)
    return ran(stack.env, command, *words, *options, **more)


def reads_only_files(command: str, words: tuple[object, ...]) -> bool:
    """Whether FILES are classified, or strings of a file are compared."""
    if command == "clip-classify":
        return bool(words) and isinstance(words[0], Path)
    _, option, source = " ".join(map(str, words)).partition("--similar-strings ")
    return bool(option) and not source.startswith("PROPERTY:")


@pytest.fixture(scope="session")
def pictures(stack: Stack, gallery: str) -> Iterator[ImageSearch]:
    """The gallery in Python."""
    with ImageSearch.connect(**connection(stack), collection=gallery) as connected:
        yield connected


@pytest.fixture(scope="session")
def encoder(stack: Stack) -> Iterator[VectorizerClient]:
    with VectorizerClient(stack.vectorizer_url) as client:
        yield client
