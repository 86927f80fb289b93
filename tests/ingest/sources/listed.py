"""What a source found, by kind, and files to be found."""

import io
import os
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from PIL import Image

from ingest.items import Facts, ItemOutcome, SourceItem
from ingest.sources import open_sources
from ingest.sources.base import SkippedFile, SourceOptions, SourceResult

LONG_AGO = time.time() - 3600


def png(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), (shade, 10, 10)).save(out, "PNG")
    return out.getvalue()


def write(file: Path, content: str | bytes = b"", age: float = LONG_AGO) -> Path:
    """A file that was last changed an hour ago."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(file, (age, age))
    return file


def found(*words: str | Path, options: SourceOptions | None = None, stdin: bytes | None = None) -> list[SourceResult]:
    stream = None if stdin is None else io.BytesIO(stdin)
    sources = open_sources([str(word) for word in words], options or SourceOptions(), stream)
    return [each for source in sources for each in source]


def items(listed: Iterable[SourceResult]) -> dict[str, SourceItem]:
    return {each.key: each for each in listed if isinstance(each, SourceItem)}


def keys(listed: Iterable[SourceResult]) -> list[str]:
    return [each.key for each in listed if isinstance(each, SourceItem)]


def failures(listed: Iterable[SourceResult]) -> dict[str, str]:
    return {each.key: each.reason for each in listed if isinstance(each, ItemOutcome)}


def skipped(listed: Iterable[SourceResult]) -> list[str]:
    return [each.key for each in listed if isinstance(each, SkippedFile)]


def facts(listed: Iterable[SourceResult]) -> dict[str, Facts]:
    return {key: item.facts(b"") for key, item in items(listed).items()}


def tar_of(file: Path, members: Mapping[str, str | bytes], mode: str = "w:") -> Path:
    def fill(tar: tarfile.TarFile) -> None:
        for name, content in members.items():
            add(tar, name, content)

    return tar_with(file, fill, mode)


def tar_with(file: Path, fill: Callable[[tarfile.TarFile], None], mode: str = "w:") -> Path:
    with tarfile.open(file, mode, encoding="utf-8", errors="surrogateescape") as tar:  # type: ignore[call-overload]
        fill(tar)
    os.utime(file, (LONG_AGO, LONG_AGO))
    return file


def add(tar: tarfile.TarFile, name: str, content: str | bytes = b"", **fields: object) -> None:
    data = content.encode() if isinstance(content, str) else content
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    tar.addfile(info, io.BytesIO(data))


def zip_of(file: Path, members: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    os.utime(file, (LONG_AGO, LONG_AGO))
    return file
