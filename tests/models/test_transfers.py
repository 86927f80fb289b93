"""One file from a hub on this machine: continued, checked, and every way in which it fails."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.hub_files import Hub, HubUnreachable, NoSuchHubFile
from clip_vectorizer.models.transfers import (
    MAX_ATTEMPTS,
    FileHash,
    RemoteFile,
    check_space,
    explain_disk_error,
    fetch_file,
    format_size,
    hash_file,
)
from tests.models.hub_server import TOKEN, FakeHub, running_hub

REPOSITORY, NAME = "org/model", "open_clip_model.safetensors"
CONTENT = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


PART = f".{NAME}.{SHA256[:12]}.part"


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as running:
        running.add(REPOSITORY, NAME, CONTENT)
        running.add(REPOSITORY, "config.json", b"{}\n")
        yield running


def fetch(hub: FakeHub, folder: Path, name: str = NAME) -> Path:
    """Without the pauses before another attempt."""
    remote = Hub(hub.url, str(folder / "store")).find(REPOSITORY, name)
    return fetch_file(remote, folder, sleep=lambda seconds: None)


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def refusal(hub: FakeHub, folder: Path, name: str = NAME) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        fetch(hub, folder, name)
    return str(caught.value)


def test_the_hub_publishes_size_and_hash(hub: FakeHub, tmp_path: Path) -> None:
    large, small = (Hub(hub.url, str(tmp_path)).find(REPOSITORY, name) for name in (NAME, "config.json"))
    assert (large.size, large.hash) == (len(CONTENT), FileHash("sha256", SHA256))
    assert large.url.startswith(f"{hub.url}/{REPOSITORY}/resolve/c0ffee") and "signature" not in large.url
    assert small.hash == FileHash("git-sha1", "0967ef424bce6791893e9a57bb952f80fd536e93")  # git hash-object


def test_a_file_is_fetched_and_nothing_else_stays(hub: FakeHub, tmp_path: Path) -> None:
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert fetch(hub, tmp_path, "config.json").read_bytes() == b"{}\n"
    assert names_in(tmp_path) == ["config.json", NAME]


def test_a_file_with_the_published_hash_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    file = fetch(hub, tmp_path)
    fetch(hub, tmp_path)
    assert len(hub.fetched()) == 1
    file.write_bytes(CONTENT[:-1] + b"?")
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert len(hub.fetched()) == 2


def test_a_connection_that_breaks_goes_on_where_it_ended(hub: FakeHub, tmp_path: Path) -> None:
    hub.cuts = [1_000_000, 500_000]
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    ranges = [each.range for each in hub.fetched()]
    assert ranges == ["", "bytes=1000000-", "bytes=1500000-"]


def test_a_run_goes_on_with_the_part_of_the_last_one(hub: FakeHub, tmp_path: Path) -> None:
    hub.cuts = [1_200_000, *[0] * MAX_ATTEMPTS]
    sentence = refusal(hub, tmp_path)
    assert f"{NAME}: the transfer from {hub.url}" in sentence
    assert "ended after 1 MB of 3 MB" in sentence and "run the command again: it goes on there" in sentence
    assert names_in(tmp_path) == [PART] and (tmp_path / PART).stat().st_size == 1_200_000
    hub.requests.clear()
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert [each.range for each in hub.fetched()] == ["bytes=1200000-"]


def test_a_server_without_ranges_sends_it_whole(hub: FakeHub, tmp_path: Path) -> None:
    hub.ranges, hub.cuts = False, [1_000_000]
    assert fetch(hub, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_is_only_checked(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(CONTENT)
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert not hub.fetched()


def test_a_part_that_is_longer_than_the_file_is_dropped(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(CONTENT + b"?")
    assert fetch(hub, tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_version_is_not_continued(hub: FakeHub, tmp_path: Path) -> None:
    hub.cuts = [1_000_000, *[0] * MAX_ATTEMPTS]
    refusal(hub, tmp_path)
    other = os.urandom(len(CONTENT))
    hub.add(REPOSITORY, NAME, other)
    assert fetch(hub, tmp_path).read_bytes() == other


@pytest.mark.parametrize("change", ["content", "part"])
def test_another_content_than_published_is_refused_and_removed(change: str, hub: FakeHub, tmp_path: Path) -> None:
    hub.changed = change == "content"
    if change == "part":
        (tmp_path / PART).write_bytes(bytes(1000))
    sentence = refusal(hub, tmp_path)
    assert f"{NAME} is not what was published: its sha256 is " in sentence and f"promises {SHA256[:12]}" in sentence
    assert names_in(tmp_path) == []
    hub.changed = False
    assert fetch(hub, tmp_path).read_bytes() == CONTENT


def test_a_storage_that_is_busy_is_tried_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.statuses = [503, 429, 500]
    pauses: list[float] = []
    remote = Hub(hub.url, str(tmp_path / "store")).find(REPOSITORY, NAME)
    fetch_file(remote, tmp_path, sleep=pauses.append)
    assert pauses == [2, 4, 8]


def test_a_storage_that_refuses_is_not_tried_again(hub: FakeHub, tmp_path: Path) -> None:
    hub.statuses = [403]
    sentence = refusal(hub, tmp_path)
    assert "answered with status 403" in sentence and "signature" not in sentence
    assert len(hub.fetched()) == 1


def test_progress_counts_the_part_that_was_there(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / PART).write_bytes(CONTENT[:1_500_000])
    seen: list[tuple[str, int, int | None]] = []
    remote = Hub(hub.url, str(tmp_path / "store")).find(REPOSITORY, NAME)
    fetch_file(remote, tmp_path, lambda *report: seen.append(report))
    assert seen[0][1] > 1_500_000 and seen[-1] == (NAME, len(CONTENT), len(CONTENT))


def test_a_disk_without_room_is_named_before_anything_is_fetched(tmp_path: Path) -> None:
    remote = RemoteFile(NAME, "http://127.0.0.1:9/x", 10**16, None)
    with pytest.raises(ModelUnavailable, match=f"{tmp_path} has .* free; {NAME} needs 10000000.0 GB more"):
        check_space(remote, tmp_path / PART)
    full = OSError(errno.ENOSPC, "No space left on device")
    assert explain_disk_error(full, tmp_path).startswith(f"the disk of {tmp_path} is full")


def test_a_place_that_cannot_be_written_is_named(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()  # root may write everywhere, but not a file in the place of a folder
    sentence = refusal(hub, tmp_path)
    assert f"{tmp_path}" in sentence and "cannot be written: Is a directory; name another folder" in sentence


def test_a_login_goes_to_the_hub_and_not_to_its_storage(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.gated.add(REPOSITORY)
    assert fetch(hub, tmp_path).read_bytes() == CONTENT
    assert {each.login for each in hub.requests if each.host.startswith("127.0.0.1")} == {f"Bearer {TOKEN}"}
    assert [(each.login, each.host.partition(":")[0]) for each in hub.fetched()] == [("", "localhost")]


def test_what_the_hub_refuses_is_named(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    hub.gated.add(REPOSITORY)
    place = Hub(hub.url, str(tmp_path))
    with pytest.raises(ModelUnavailable, match=f"accept them at {hub.url}/{REPOSITORY}, and set HF_TOKEN"):
        place.find(REPOSITORY, NAME)
    with pytest.raises(ModelUnavailable, match=f"{hub.url} has no repository org/other, or it is private and HF_TOKEN"):
        place.find("org/other", NAME)
    with pytest.raises(ModelUnavailable, match="'a/b/c' is no name of a repository: expected ORG/NAME"):
        place.find("a/b/c", NAME)
    hub.gated.clear()
    with pytest.raises(NoSuchHubFile, match=f"{hub.url}/{REPOSITORY} has no other.bin"):
        place.find(REPOSITORY, "other.bin")


def test_no_refusal_of_the_hub_has_the_token_in_it(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_geheim")
    hub.gated.add(REPOSITORY)
    for endpoint, repository in ((hub.url, REPOSITORY), (hub.url, "org/other"), ("http://127.0.0.1:9", REPOSITORY)):
        with pytest.raises(ModelUnavailable) as refused:
            Hub(endpoint, str(tmp_path)).find(repository, NAME)
        assert "geheim" not in str(refused.value)


def test_a_hub_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(HubUnreachable, match=r"http://127.0.0.1:9 cannot be reached .*; HF_ENDPOINT names a mirror"):
        Hub("http://127.0.0.1:9", str(tmp_path)).find(REPOSITORY, NAME)


def test_a_size_is_read_at_a_glance() -> None:
    assert [format_size(size) for size in (0, 999, 12_345, 605_157_884, 3_944_692_325)] == [
        *("0 kB", "1 kB", "12 kB", "605 MB", "3.9 GB"),
    ]


def test_gits_hash_of_a_file_is_gits(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"hello\n")
    assert hash_file(file, "git-sha1") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object
