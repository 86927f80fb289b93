"""Download the official release of Weaviate, checked against its published SHA-256."""

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
# A network that drops packets must cost seconds, not minutes: building from source comes next.
TIMEOUT = httpx.Timeout(20.0, connect=5.0)
MEGABYTE = 1e6


def download_release(
    version: str, target: Path, progress: StepProgress, env: Mapping[str, str], releases: str = RELEASES
) -> None:
    """Put the official server at `target`. Raises StackError when the download fails or its checksum differs."""
    name = format_archive_name(version)
    url = f"{releases}/v{version}/{name}"
    check_disk_space(target.parent, NEEDED_GB, "the release of Weaviate")
    progress.step(f"downloading Weaviate {version}")
    with TemporaryDirectory(dir=target.parent, prefix="release-") as folder, release_errors(url):
        archive = Path(folder) / name
        expected = fetch_checksum(f"{url}.sha256")
        if download_archive(url, archive, progress) != expected:
            raise StackError(f"the download of {url} does not match its published SHA-256; try again")
        unpacked = unpack_server(archive, Path(folder) / "weaviate")
        unpacked.chmod(0o755)
        unpacked.replace(target)


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
    """Return the hex digest in a checksum file, which holds the digest alone or followed by a file name."""
    response = httpx.get(url, timeout=TIMEOUT, follow_redirects=True).raise_for_status()
    words = response.text.split()
    if not words or len(words[0]) != hashlib.sha256().digest_size * 2:
        raise StackError(f"{url} holds no SHA-256")
    return words[0].lower()


def download_archive(url: str, target: Path, progress: StepProgress) -> str:
    """Write `target` and return its SHA-256 in hex."""
    digest = hashlib.sha256()
    with httpx.stream("GET", url, timeout=TIMEOUT, follow_redirects=True) as response, target.open("wb") as out:
        response.raise_for_status()
        total = int(response.headers.get("Content-Length", 0))
        for block in response.iter_bytes(1 << 20):
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
