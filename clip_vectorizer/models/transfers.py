"""Fetches a file by HTTP so that a download which was interrupted goes on where it ended, and checks its hash.

The part that is there is a hidden file beside the target, named by the published hash: a part of another version of the
file is never continued. The client of the hub (huggingface_hub 2.4) deletes what an interrupted run has fetched.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from clip_vectorizer.errors import ModelUnavailable

CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 30.0  # of a connection, and between two parts of an answer
MAX_ATTEMPTS = 5  # in a row that bring no byte
RETRY_SECONDS = 1.0  # doubled with each attempt
RETRIED_STATUS = (408, 425, 429, 500, 502, 503, 504)
SHORT_HASH = 12  # characters in a sentence or a file name
SPARE_BYTES = 64 << 20  # left free on the disk


@dataclass(frozen=True, slots=True)
class FileHash:
    """A published hash: `sha256`, or git's own `git-sha1` of small files. `value` may be the first characters."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value[:SHORT_HASH]}"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to fetch. `size` in bytes; None: not published. `headers`: a login, which a redirect elsewhere drops."""

    name: str
    url: str
    size: int | None
    hash: FileHash | None
    headers: Mapping[str, str] = field(default_factory=dict)


class ByteProgress(Protocol):
    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Report that `done` of `total` bytes are there; called often."""


def ignore_progress(name: str, done: int, total: int | None) -> None: ...


def fetch_file(
    remote: RemoteFile,
    folder: Path,
    progress: ByteProgress = ignore_progress,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Return the path of `remote` in `folder`; fetched, unless it is there with the published hash.

    Raises ModelUnavailable: it cannot be reached, the disk is full, the content is not what was published.
    """
    target = folder / remote.name
    if remote.hash and has_hash(target, remote.hash):
        return target
    part = folder / f".{remote.name}.{remote.hash.value[:SHORT_HASH] if remote.hash else 'unknown'}.part"
    try:
        check_space(remote, part)
        fetch_part(remote, part, progress, sleep)
        check_part(remote, part)
        part.replace(target)
    except OSError as error:
        raise ModelUnavailable(explain_disk_error(error, folder)) from error
    return target


def check_space(remote: RemoteFile, part: Path) -> None:
    """Raise ModelUnavailable where the rest of the file does not fit on the disk."""
    needed = (remote.size or 0) - measure_part(part)
    free = shutil.disk_usage(part.parent).free
    if needed + SPARE_BYTES > free:
        raise ModelUnavailable(
            f"{part.parent} has {format_size(free)} free; {remote.name} needs {format_size(needed)} more, and "
            f"{format_size(SPARE_BYTES)} stay free"
        )


def measure_part(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def fetch_part(remote: RemoteFile, part: Path, progress: ByteProgress, sleep: Callable[[float], None]) -> None:
    """Fetch until `part` is whole; an interrupted transfer goes on after a pause. Raises ModelUnavailable."""
    if not remote.hash:
        part.unlink(missing_ok=True)  # of which version it is, is not known
    attempts, before = 0, measure_part(part)
    with httpx.Client(follow_redirects=True, timeout=TIMEOUT_SECONDS) as client:
        while True:
            problem = transfer(client, remote, part, progress)
            if not problem:
                return
            there = measure_part(part)
            attempts = 0 if there > before else attempts + 1
            if attempts == MAX_ATTEMPTS:
                raise ModelUnavailable(explain_interruption(remote, there, problem))
            before = there
            sleep(RETRY_SECONDS * 2**attempts)


def transfer(client: httpx.Client, remote: RemoteFile, part: Path, progress: ByteProgress) -> str:
    """Append to `part` what the server sends. Return why it is not whole yet, "" when it is.

    Raises ModelUnavailable where another attempt is of no use.
    """
    there = measure_part(part)
    if remote.size is not None and there == remote.size:
        return ""
    if remote.size is not None and there > remote.size:
        part.unlink()
        there = 0
    headers = {**remote.headers, "Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}
    try:
        with client.stream("GET", remote.url, headers=headers) as response:
            if problem := refuse_status(remote, part, response):
                return problem
            append(response, remote, part, there if starts_at(response, there) else 0, progress)
    except httpx.InvalidURL as error:
        raise ModelUnavailable(f"{remote.url} is not an address ({error})") from error
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    there = measure_part(part)
    return f"{format_size(there)} came" if remote.size is not None and there < remote.size else ""


def refuse_status(remote: RemoteFile, part: Path, response: httpx.Response) -> str:
    """Return why the transfer has to be tried again; "" for an answer with content. Raises ModelUnavailable."""
    status = response.status_code
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and part.exists():
        part.unlink()  # longer than the file is now
        return "its part had another length"
    if status in RETRIED_STATUS:
        return f"status {status}"
    if status >= httpx.codes.BAD_REQUEST:
        raise ModelUnavailable(f"{remote.name}: {strip_query(response.url)} answered with status {status}")
    return ""


def starts_at(response: httpx.Response, start: int) -> bool:
    """Whether the answer begins at byte `start`; a server without ranges sends the whole file."""
    found = response.headers.get("Content-Range", "")
    return response.status_code == httpx.codes.PARTIAL_CONTENT and found.startswith(f"bytes {start}-")


def append(response: httpx.Response, remote: RemoteFile, part: Path, start: int, progress: ByteProgress) -> None:
    """Write the answer behind the first `start` bytes of `part`."""
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        file.truncate()
        for chunk in response.iter_raw():
            file.write(chunk)
            start += len(chunk)
            progress(remote.name, start, remote.size)


def check_part(remote: RemoteFile, part: Path) -> None:
    """Raise ModelUnavailable, and remove `part`, where its content is not the published one."""
    size = measure_part(part)
    if remote.size is not None and size != remote.size:
        part.unlink()
        raise ModelUnavailable(f"{remote.name} has {size:,} bytes instead of {remote.size:,}; it was removed")
    if remote.hash and not (found := hash_file(part, remote.hash.kind)).startswith(remote.hash.value):
        part.unlink()
        raise ModelUnavailable(
            f"{remote.name} is not what was published: its {remote.hash.kind} is {found[:SHORT_HASH]}..., and "
            f"{strip_query(remote.url)} promises {remote.hash.value[:SHORT_HASH]}...; it was removed, so "
            "run the command again; if that repeats, something on the way changes the file"
        )


def has_hash(file: Path, expected: FileHash) -> bool:
    return file.is_file() and hash_file(file, expected.kind).startswith(expected.value)


def hash_file(file: Path, kind: str) -> str:
    """Return the hash in hexadecimal; git puts the length before the content."""
    digest = hashlib.sha1(usedforsecurity=False) if kind == "git-sha1" else hashlib.sha256()
    if kind == "git-sha1":
        digest.update(b"blob %d\0" % file.stat().st_size)
    for chunk in read_chunks(file):
        digest.update(chunk)
    return digest.hexdigest()


def read_chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


def explain_interruption(remote: RemoteFile, there: int, problem: str) -> str:
    total = f" of {format_size(remote.size)}" if remote.size is not None else ""
    kept = "; run the command again: it goes on there" if there and remote.hash else ""
    source = strip_query(remote.url)
    return f"{remote.name}: the transfer from {source} ended after {format_size(there)}{total} ({problem}){kept}"


def explain_disk_error(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {folder} is full; what came stays there, and the next run goes on with it"
    return f"{error.filename or folder} cannot be written: {os.strerror(error.errno or 0)}; name another folder"


def strip_query(url: Any) -> str:
    """The address without its query, which has the signature of a storage service."""
    return str(url).partition("?")[0]


def format_size(size: int) -> str:
    """
    >>> format_size(605_157_884), format_size(2_300), format_size(1_710_540_580)
    ('605 MB', '2 kB', '1.7 GB')
    """
    if size >= 10**9:
        return f"{size / 10**9:.1f} GB"
    return f"{size / 10**6:.0f} MB" if size >= 10**6 else f"{size / 1000:.0f} kB"
