"""Entries out of bytes, and items read."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ingest.items import Facts, Item, Outcome, UnusableFile
from ingest.sources.base import Entry, Found, SourceOptions
from ingest.sources.kinds import expand


def entry(key: str, data: bytes | Callable[[], BinaryIO], stamp: str = "stamp", facts: Facts | None = None) -> Entry:
    opened = data if callable(data) else lambda: io.BytesIO(data)
    return Entry(key, "/source", stamp, opened, lambda: facts or Facts())


def expanded(key: str, data: bytes | Callable[[], BinaryIO], **options: object) -> list[Found]:
    return list(expand(entry(key, data), SourceOptions(**options)))


def items(found: Iterable[Found]) -> list[Item]:
    return [one for one in found if isinstance(one, Item)]


def failures(found: Iterable[Found]) -> dict[str, str]:
    return {one.key: one.reason for one in found if isinstance(one, Outcome)}


def picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def reason(item: Item) -> str:
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
