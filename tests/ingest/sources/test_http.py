import time
from email.utils import formatdate

import httpx
import pytest

from ingest.choices import MAX_FILE_BYTES
from ingest.items import UnusableFile
from ingest.retry import RetryPolicy
from ingest.sources.http import HttpTransport
from ingest.sources.ranged import BLOCK_BYTES
from ingest.sources.reading import read_whole
from ingest.sources.transport import Transport
from tests.http_server import LOOPBACK
from tests.ingest.sources.web_server import Site

LONG_AGO = formatdate(1_000_000_000, usegmt=True)
IN_AN_HOUR = formatdate(time.time() + 3600, usegmt=True)


def read(far: Transport, address: str) -> bytes:
    return read_whole(lambda: far.open(address))


def reason(far: Transport, address: str) -> str:
    with pytest.raises(UnusableFile) as caught:
        read(far, address)
    return str(caught.value)


def test_an_image_is_one_plain_request(site: Site, far: Transport) -> None:
    assert read(far, site.add("/x.png", b"pixels")) == b"pixels"
    assert site.requests == {("GET", "/x.png"): 1} and "Range" not in site.seen_headers[0]


@pytest.mark.parametrize("failure", [500, 502, 503, 504, 429, 408, "drop", "cut"])
def test_a_failure_that_passes_is_tried_again(
    site: Site, far: Transport, waits: list[float], failure: int | str
) -> None:
    assert read(far, site.add("/x.png", b"pixels", failures=[failure])) == b"pixels"
    assert waits == [0.5] and site.requests["GET", "/x.png"] == 2


def test_after_three_tries_the_reason_is_reported(site: Site, far: Transport, waits: list[float]) -> None:
    address = site.add("/x.png", b"pixels", failures=[503] * 9)
    assert reason(far, address) == "the server returned HTTP 503 (3 tries)"
    assert waits == [0.5, 2.0] and site.requests["GET", "/x.png"] == 3


@pytest.mark.parametrize(
    ("status", "why"), [(403, "no access"), (401, "user and password"), (410, "gone"), (400, "400")]
)
def test_a_refusal_is_not_tried_again(site: Site, far: Transport, waits: list[float], status: int, why: str) -> None:
    assert why in reason(far, site.add("/x.png", b"", failures=[status]))
    assert not waits


def test_a_missing_file_is_reported_without_its_signature(site: Site, far: Transport) -> None:
    message = reason(far, f"{site.address}/x.png?X-Amz-Signature=0a1b2c")
    assert message == "not found (HTTP 404)"


def test_a_refused_connection_is_reported_after_three_tries(far: Transport, waits: list[float]) -> None:
    assert "the connection failed" in reason(far, "http://127.0.0.1:1/x.png?token=geheim")
    assert "geheim" not in reason(far, "http://127.0.0.1:1/x.png?token=geheim") and len(waits) == 4


@pytest.mark.parametrize(
    "address", ["http://", "http://[::1", "http://a b/x", "http://127.0.0.1:99999/x", "http://\udce4/"]
)
def test_what_is_no_address_is_a_failure(far: Transport, address: str) -> None:
    assert reason(far, address)


def test_a_slow_server_times_out(site: Site, waits: list[float]) -> None:
    web = HttpTransport(RetryPolicy((0.0,), sleep=waits.append), timeout=httpx.Timeout(0.05), guard=LOOPBACK)
    address = site.add("/x.png", b"pixels", slow_seconds=0.3)
    with pytest.raises(UnusableFile, match=r"timed out \(ReadTimeout\) \(2 tries\)"):
        read_whole(lambda: web.open(address))
    web.close()


def test_a_file_that_arrives_too_slowly_is_a_failure(site: Site) -> None:
    web = HttpTransport(RetryPolicy(), max_seconds=-1.0, guard=LOOPBACK)
    address = site.add("/x.png", b"p" * 10)
    with pytest.raises(UnusableFile, match="too slow"):
        read_whole(lambda: web.open(address))
    web.close()


def test_a_file_without_an_end_does_not_fill_the_disk(site: Site) -> None:
    """Of a server without ranges, where the whole file is needed to read its end."""
    web = HttpTransport(RetryPolicy(), guard=LOOPBACK, max_bytes=1_000_000)
    address = site.add("/x.zip", bytes(3_000_000), ranges=False)
    with web.open(address) as file, pytest.raises(UnusableFile, match=r"larger than 0\.001 GB, on a server that sends"):
        file.seek(-5, 2)
    web.close()


def test_an_image_larger_than_can_be_sent_is_not_read_to_its_end(site: Site, far: Transport) -> None:
    address = site.add("/x.png", b"\0" * (MAX_FILE_BYTES + 5_000_000))
    assert "70 MB" in reason(far, address)


def test_an_empty_file_is_a_failure(site: Site, far: Transport) -> None:
    assert "empty file" in reason(far, site.add("/x.png", b""))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_is_seekable_whether_the_server_supports_ranges_or_not(site: Site, far: Transport, ranges: bool) -> None:
    data = bytes(range(256)) * 20_000  # 5 MB
    with far.open(site.add("/x.zip", data, ranges=ranges)) as file:
        assert file.seek(-300, 2) == len(data) - 300
        assert file.read(1000) == data[-300:]
        file.seek(BLOCK_BYTES - 5)
        assert file.read(10) == data[BLOCK_BYTES - 5 : BLOCK_BYTES + 5]
        file.seek(10)
        assert file.read() == data[10:]
        assert file.read(5) == b"" and file.seek(len(data) + 9) and file.read(5) == b""
    assert site.requests["GET", "/x.zip"] <= (4 if ranges else 1)


def test_an_empty_file_can_be_opened_for_seeking(site: Site, far: Transport) -> None:
    with far.open(site.add("/x.zip", b"")) as file:
        assert (file.seek(0, 2), file.read(5)) == (0, b"")


def test_a_file_that_changes_while_it_is_read_in_parts_is_a_failure(site: Site, far: Transport) -> None:
    address = site.add("/x.zip", b"a" * 3 * BLOCK_BYTES)
    with far.open(address) as file:
        file.read(10)
        site.add("/x.zip", b"b" * 3 * BLOCK_BYTES)
        file.seek(2 * BLOCK_BYTES)
        with pytest.raises(UnusableFile, match="changed while it was being read"):
            file.read(10)


def test_a_redirect_is_followed(site: Site, far: Transport) -> None:
    site.add("/old.png", b"", status=302, headers={"Location": site.add("/new.png", b"pixels")})
    assert read(far, f"{site.address}/old.png") == b"pixels"


def test_a_redirect_without_an_end_is_a_failure(site: Site, far: Transport) -> None:
    site.add("/x.png", b"", status=302, headers={"Location": "/x.png"})
    assert "TooManyRedirects" in reason(far, f"{site.address}/x.png")


def test_the_stamp_comes_from_the_etag(site: Site, far: Transport) -> None:
    first = far.stamp(site.add("/x.png", b"one"))
    assert first == far.stamp(f"{site.address}/x.png") != far.stamp(site.add("/x.png", b"two"))
    assert set(site.requests) == {("HEAD", "/x.png")}


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({"Last-Modified": LONG_AGO}, True),
        ({"Last-Modified": IN_AN_HOUR}, False),
        ({"Last-Modified": "yesterday"}, False),
        ({}, False),
    ],
    ids=["long ago", "just now", "no date", "nothing"],
)
def test_without_an_etag_only_a_time_long_ago_makes_a_stamp(
    site: Site, far: Transport, headers: dict[str, str], known: bool
) -> None:
    assert bool(far.stamp(site.add("/x.png", b"pixels", headers=headers))) is known


@pytest.mark.parametrize("path", ["/none.png", "/no-head.png"])
def test_a_server_that_does_not_answer_head_leaves_the_stamp_unknown(site: Site, far: Transport, path: str) -> None:
    site.add("/no-head.png", b"pixels", head=False)
    assert far.stamp(site.address + path) == ""
    assert far.stamp("http://127.0.0.1:1/x.png") == ""
