"""Entries out of bytes, and items read."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ingest.items import Facts, ItemOutcome, SourceContent, SourceItem, UnusableFile
from ingest.sources.base import FileEntry, SourceOptions, SourceResult
from ingest.sources.file_types import expand_entry


def entry(
    key: str, data: bytes | Callable[[], BinaryIO], stamp: str = "stamp", facts: Facts | None = None
) -> FileEntry:
    opened = data if callable(data) else lambda: io.BytesIO(data)
    return FileEntry(key, "/source", stamp, opened, lambda: facts or Facts())


def expanded(key: str, data: bytes | Callable[[], BinaryIO], **options: object) -> list[SourceResult]:
    return list(expand_entry(entry(key, data), SourceOptions(**options)))


def items(found: Iterable[SourceResult]) -> list[SourceItem]:
    return [one for one in found if isinstance(one, SourceItem)]


def failures(found: Iterable[SourceResult]) -> dict[str, str]:
    return {one.key: one.reason for one in found if isinstance(one, ItemOutcome)}


def picture(content: SourceContent) -> Image.Image:
    """Of a file in its own mode; of a page as it is in the JPEG file that it may become."""
    image = Image.open(io.BytesIO(content if isinstance(content, bytes) else content.encode()))
    image.load()
    return image


def reason(item: SourceItem) -> str:
    """Why it cannot be read."""
    try:
        item.read()
    except UnusableFile as problem:
        return str(problem)
    raise AssertionError(f"{item.key} was read")


def written(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path
