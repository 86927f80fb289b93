"""The official release of Weaviate: an archive and its published SHA-256."""

import hashlib
import platform
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import httpx

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import StepProgress
from ingest.embedded.files import check_disk_space

RELEASES = "https://github.com/weaviate/weaviate/releases/download"
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
NEEDED_GB = 0.5  # the archive and the unpacked server together
# A network that drops packets must cost seconds, not minutes: there is another way.
TIMEOUT = httpx.Timeout(20.0, connect=5.0)
MEGABYTE = 1e6


def download_release(
    version: str, kept: Path, progress: StepProgress, env: Mapping[str, str], releases: str = RELEASES
) -> None:
    """Puts the official server at `kept`. Raises StackError when it cannot be had or its checksum differs."""
    name = format_archive_name(version)
    url = f"{releases}/v{version}/{name}"
    check_disk_space(kept.parent, NEEDED_GB, "the release of Weaviate")
    progress.step(f"downloading Weaviate {version}")
    with TemporaryDirectory(dir=kept.parent, prefix="release-") as folder, release_errors(url):
        archive = Path(folder) / name
        expected = fetch_checksum(f"{url}.sha256")
        if download_archive(url, archive, progress) != expected:
            raise StackError(f"the download of {url} does not match its published SHA-256; try again")
        unpacked = unpack_server(archive, Path(folder) / "weaviate")
        unpacked.chmod(0o755)
        unpacked.replace(kept)


def format_archive_name(version: str, system: str = platform.system(), machine: str = platform.machine()) -> str:
    if system == "Darwin":
        return f"weaviate-v{version}-darwin-all.zip"
    if system == "Linux" and machine.lower() in ARCHITECTURES:
        return f"weaviate-v{version}-linux-{ARCHITECTURES[machine.lower()]}.tar.gz"
    raise StackError(f"Weaviate publishes no release for {system} on {machine}")


@contextmanager
def release_errors(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise StackError(f"no download of {error.request.url}: HTTP {error.response.status_code}") from error
    except httpx.HTTPError as error:
        raise StackError(f"no download of {url}: {str(error) or type(error).__name__}") from error
    except (OSError, KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise StackError(f"the archive {url} cannot be unpacked: {error}") from error


def fetch_checksum(url: str) -> str:
    """The hex digest in a checksum file: alone, or before a file's name."""
    answer = httpx.get(url, timeout=TIMEOUT, follow_redirects=True).raise_for_status()
    words = answer.text.split()
    if not words or len(words[0]) != hashlib.sha256().digest_size * 2:
        raise StackError(f"{url} holds no SHA-256")
    return words[0].lower()


def download_archive(url: str, target: Path, progress: StepProgress) -> str:
    """Writes `target` and gives its SHA-256 in hex."""
    digest = hashlib.sha256()
    with httpx.stream("GET", url, timeout=TIMEOUT, follow_redirects=True) as answer, target.open("wb") as out:
        answer.raise_for_status()
        total = int(answer.headers.get("Content-Length", 0))
        for block in answer.iter_bytes(1 << 20):
            out.write(block)
            digest.update(block)
            progress.detail(f"{out.tell() / MEGABYTE:.0f} of {total / MEGABYTE:.0f} MB")
    return digest.hexdigest()


def unpack_server(archive: Path, target: Path) -> Path:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped, zipped.open("weaviate") as server:
            return copy_blocks(server, target)
    with tarfile.open(archive) as tarred:
        member = tarred.extractfile("weaviate")
        if member is None:
            raise KeyError("no file named weaviate in it")
        return copy_blocks(member, target)


def copy_blocks(source: IO[bytes], target: Path) -> Path:
    with target.open("wb") as out:
        while block := source.read(1 << 20):
            out.write(block)
    return target
