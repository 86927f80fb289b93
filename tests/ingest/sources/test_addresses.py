"""Addresses in sources lead to public servers only, and to those that the user allows."""

from pathlib import Path

import fsspec
import pytest

from clip_vectorizer.errors import InputError
from ingest.items import UnusableFile
from ingest.sources.base import SourceOptions
from ingest.sources.remote import open_remote
from ingest.sources.transport import Transport
from tests.http_server import ALLOWED
from tests.ingest.fakes import png
from tests.ingest.sources.listed import failures, found, items, tar_of, write
from tests.ingest.sources.web_server import Site

REFUSAL = "127.0.0.1 is an address of this machine; only public addresses are opened, and those that you allow: "


def reasons(listed: dict[str, object]) -> list[str]:
    """Why each item cannot be read."""
    why = []
    for item in listed.values():
        with pytest.raises(UnusableFile) as refused:
            item.read()  # type: ignore[attr-defined]
        why.append(str(refused.value))
    return why


@pytest.mark.parametrize("name", ["x.png", "x.zip", "t.csv", "urls.txt", "x.pdf", "folder/"])
def test_a_source_at_a_refused_address_is_a_sentence_with_the_option(site: Site, name: str) -> None:
    address = site.add(f"/{name}", b"url\nx.png\n")
    with pytest.raises(InputError) as refused:
        found(address.replace("//", "//user:geheim@") + "?token=geheim")
    assert str(refused.value) == f"{address}: {REFUSAL}--allow-address 127.0.0.1"
    assert not site.requests


def test_an_allowed_address_is_read(site: Site) -> None:
    options = SourceOptions(allow_addresses=ALLOWED)
    [item] = items(found(site.add("/x.png", png()), options=options)).values()
    assert item.read() == png()


@pytest.mark.parametrize("name", ["t.csv", "urls.txt"])
def test_an_address_in_a_table_or_a_list_fails_alone(tmp_path: Path, site: Site, name: str) -> None:
    write(tmp_path / "own.png", png())
    rows = [site.add("/x.png", png(), head=True), f"{site.address}/y.png?token=geheim", "own.png"]
    listed = items(found(write(tmp_path / name, "\n".join(["url"] * (name == "t.csv") + rows))))
    assert listed.pop("own.png").read() == png()
    assert reasons(listed) == [f"{REFUSAL}--allow-address 127.0.0.1"] * 2
    assert not site.requests  # the one for the stamp neither


def test_an_address_on_standard_input_is_checked(site: Site) -> None:
    listed = items(found("-", stdin=site.add("/x.png", png()).encode()))
    assert reasons(listed) == [f"{REFUSAL}--allow-address 127.0.0.1"] and not site.requests


def test_a_row_is_not_led_on_to_a_refused_address(tmp_path: Path, site: Site) -> None:
    """From the allowed 127.0.0.1 to another address of this machine, on which the same server would answer."""
    port = site.address.rpartition(":")[2]
    site.add("/x.png", b"", status=302, headers={"Location": f"http://[::1]:{port}/secret.png"})
    table = write(tmp_path / "t.csv", f"url\n{site.address}/x.png\n")
    listed = items(found(table, options=SourceOptions(allow_addresses=ALLOWED)))
    assert reasons(listed) == [REFUSAL.replace("127.0.0.1", "::1") + "--allow-address ::1"]
    assert {path for _, path in site.requests} == {"/x.png"}


def test_a_base_at_a_refused_address_is_checked(tmp_path: Path, site: Site) -> None:
    site.add("/x.png", png())
    options = SourceOptions(root=site.address)
    assert REFUSAL in reasons(items(found(write(tmp_path / "t.csv", "path\nx.png\n"), options=options)))[0]


def test_an_archive_in_parts_is_checked(tmp_path: Path, site: Site) -> None:
    data = tar_of(tmp_path / "x.tar", {"x.png": png()}).read_bytes()
    with pytest.raises(InputError, match="--allow-address"):
        found(site.add("/x.tar", data))
    assert len(items(found(f"{site.address}/x.tar", options=SourceOptions(allow_addresses=ALLOWED)))) == 1


@pytest.mark.parametrize("scheme", ["ftp", "sftp", "ssh", "smb", "webhdfs", "jlab", "generic", "github", "dask"])
def test_a_server_that_is_named_otherwise_must_be_allowed(tmp_path: Path, site: Site, scheme: str) -> None:
    host = site.address.removeprefix("http://")
    [(key, reason)] = read_failures(write(tmp_path / "urls.txt", f"{scheme}://user:geheim@{host}/x.png\n"))
    assert "geheim" not in key + reason and "add --allow-address 127.0.0.1" in reason
    assert not site.requests


def test_a_server_without_a_name_needs_all(tmp_path: Path) -> None:
    [(_, reason)] = read_failures(write(tmp_path / "urls.txt", "reference:///x.png\n"))
    assert "add --allow-address all" in reason


def read_failures(listing: Path) -> list[tuple[str, str]]:
    listed = found(listing)
    read = zip(items(listed), reasons(items(listed)), strict=True)
    return [*failures(listed).items(), *read]


def test_an_allowed_server_is_left_to_fsspec(tmp_path: Path) -> None:
    listed = found(
        write(tmp_path / "urls.txt", "ftp://127.0.0.1:1/x.png\n"), options=SourceOptions(allow_addresses=ALLOWED)
    )
    with pytest.raises(InputError, match="cannot be reached"):  # nothing listens there
        next(iter(items(listed).values())).read()


@pytest.mark.parametrize("chain", ["zip://x.png::{}/x.zip", "dir://x::{}/", "tar://x.png::filecache::{}/x.tar"])
def test_an_address_inside_of_another_is_not_opened(tmp_path: Path, site: Site, chain: str) -> None:
    [(_, reason)] = read_failures(write(tmp_path / "urls.txt", chain.format(site.address) + "\n"))
    assert "chains are not read" in reason and not site.requests


def test_a_name_in_a_bucket_does_not_become_a_chain(bucket: str, site: Site) -> None:
    listing = f"{bucket}/urls.txt"
    fsspec.filesystem("memory").pipe(listing, f"x.png::{site.address}/x.png\n".encode())
    [item] = open_remote(listing, SourceOptions(), Transport({}))
    assert "chains are not read" in reasons({"": item})[0] and not site.requests


def test_a_table_elsewhere_names_no_file_of_this_disk(tmp_path: Path, bucket: str, site: Site) -> None:
    secret = write(tmp_path / "secret.png", png())
    text = "".join(f"{each}{secret}\n" for each in ("url\n", "file://", "local://", "FILE://"))
    fsspec.filesystem("memory").pipe(f"{bucket}/t.csv", text.encode())
    listed = list(open_remote(f"{bucket}/t.csv", SourceOptions(), Transport({})))
    assert not items(listed)
    assert all("another machine's disk" in reason for reason in failures(listed).values()) and len(listed) == 4
    assert len(items(found(write(tmp_path / "t.csv", text)))) == 3  # the same rows in a table of this disk
