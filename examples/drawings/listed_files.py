"""Files of public repositories that are fetched, compared with the hash of a list, and never part of this project."""

import hashlib
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import click

HOST = "https://raw.githubusercontent.com"
TIMEOUT = 60.0  # seconds without a byte


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a repository, as it was when the list was made."""

    repository: str
    commit: str  # or the name of a tag
    path: str
    sha256: str
    name: str  # the path within the output


def fetch(file: ListedFile, out: Path, clones: Path | None, progress: str) -> bool:
    """Whether the file is in `out`, with the hash of the list."""
    target = out / file.name
    if target.exists() and has_hash(target.read_bytes(), file):
        return True
    click.echo(f"{progress}: {file.name}", err=True)
    try:
        data = read_clone(file, clones) if clones else download(file)
    except (OSError, subprocess.CalledProcessError) as error:
        click.echo(f"left out: {file.name}: {error}", err=True)
        return False
    if not has_hash(data, file):
        click.echo(f"left out: {file.name}: another content than in the list", err=True)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return True


def has_hash(data: bytes, file: ListedFile) -> bool:
    return hashlib.sha256(data).hexdigest() == file.sha256


def download(file: ListedFile) -> bytes:
    """Raises OSError: urllib's errors are."""
    url = f"{HOST}/{file.repository}/{file.commit}/{quote(file.path)}"
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        return bytes(response.read())


def read_clone(file: ListedFile, clones: Path) -> bytes:
    folder = clones / file.repository.replace("/", "+") / "repo"
    command = ["git", "-C", str(folder), "show", f"{file.commit}:{file.path}"]
    return subprocess.run(command, capture_output=True, check=True).stdout
