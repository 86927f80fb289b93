"""The release is downloaded from a real HTTP server on loopback."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT
from ingest.embedded.release import RELEASES, download_release, format_archive_name, unpack_server

SERVER = b"#!/bin/sh\necho served\n"
VERSION = "9.8.7"


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site" / f"v{VERSION}"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def releases(site: Path) -> Iterator[str]:
    handler = partial(Silent, directory=str(site.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def publish(site: Path, member: str = "weaviate", checksum: str | None = None) -> None:
    data = tar_of(member, SERVER)
    (site / format_archive_name(VERSION)).write_bytes(data)
    published_checksum = checksum if checksum is not None else hashlib.sha256(data).hexdigest()
    (site / f"{format_archive_name(VERSION)}.sha256").write_text(published_checksum)


def tar_of(member: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as files:
        info = tarfile.TarInfo(member)
        info.size = len(content)
        files.addfile(info, io.BytesIO(content))
    return out.getvalue()


def fetch(kept: Path, releases: str) -> None:
    download_release(VERSION, kept, SILENT, {}, releases)


def test_a_release_with_the_right_checksum_becomes_a_program(site: Path, releases: str, tmp_path: Path) -> None:
    publish(site)
    kept = tmp_path / "cache" / "weaviate"
    fetch(kept, releases)
    assert kept.read_bytes() == SERVER
    assert kept.stat().st_mode & 0o111
    assert [path.name for path in kept.parent.iterdir()] == ["weaviate"]


def test_a_checksum_file_may_name_its_file(site: Path, releases: str, tmp_path: Path) -> None:
    publish(site)
    published = site / f"{format_archive_name(VERSION)}.sha256"
    published.write_text(f"{published.read_text().upper()}  {format_archive_name(VERSION)}\n")
    fetch(tmp_path / "cache" / "weaviate", releases)


@pytest.mark.parametrize(
    ("member", "checksum", "words"),
    [
        ("weaviate", "0" * 64, "does not match its published SHA-256"),
        ("weaviate", "<html>", "holds no SHA-256"),
        ("README.md", None, "cannot be unpacked"),
    ],
)
def test_a_wrong_release_leaves_nothing(
    site: Path, releases: str, tmp_path: Path, member: str, checksum: str | None, words: str
) -> None:
    publish(site, member, checksum)
    kept = tmp_path / "cache" / "weaviate"
    with pytest.raises(StackError, match=words):
        fetch(kept, releases)
    assert list(kept.parent.iterdir()) == []


def test_the_error_of_a_missing_release_has_its_url_and_status(releases: str, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=rf"no download of http://.*{VERSION}.*sha256: HTTP 404"):
        fetch(tmp_path / "cache" / "weaviate", releases)


def test_a_missing_network_is_a_stack_error(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"no download of http://127\.0\.0\.1:1/"):
        fetch(tmp_path / "cache" / "weaviate", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "weaviate-v1.39.0-linux-amd64.tar.gz"),
        ("Linux", "aarch64", "weaviate-v1.39.0-linux-arm64.tar.gz"),
        ("Darwin", "arm64", "weaviate-v1.39.0-darwin-all.zip"),
    ],
)
def test_archives_are_named_as_weaviates_release_workflow_names_them(system: str, machine: str, name: str) -> None:
    assert format_archive_name("1.39.0", system, machine) == name
    assert RELEASES == "https://github.com/weaviate/weaviate/releases/download"


def test_a_system_without_a_release_is_named() -> None:
    with pytest.raises(StackError, match="no release for Linux on riscv64"):
        format_archive_name("1.39.0", "Linux", "riscv64")


def test_the_macos_archive_is_a_zip(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weaviate.zip", "w") as files:
        files.writestr("weaviate", SERVER)
    assert unpack_server(tmp_path / "weaviate.zip", tmp_path / "weaviate").read_bytes() == SERVER
