"""Odd, broken and hostile HTTP, byte by byte: never a 500, never a hang, and the next client is served."""

import http.client
import json
import re
import socket
import time

import pytest

from clip_vectorizer.server.startup import KEEP_ALIVE_SECONDS, listen  # noqa: TID251
from tests.faults.processes import Sidecar
from tests.faults.requests import connection, exchange, fresh, post, read_until_closed

GOOD = b'{"texts": ["wire"]}'
CHUNKED = b"POST /vectorize HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n"
CLOSE = "Connection: close\r\n"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")

ODD = {
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "nothing": b"",
    "half a line": b"POST /vecto",
    "half the headers": b"POST /vectorize HTTP/1.1\r\nHost: sidecar\r\nContent-Len",
    "half the body": post(GOOD)[:-4],
    "no body at all": b"POST /vectorize HTTP/1.1\r\nHost: sidecar\r\n\r\n",
    "no such version": b"GET /meta HTTP/9.9\r\nHost: sidecar\r\n\r\n",
    "no such method": b"BREW /vectorize HTTP/1.1\r\nHost: s\r\n\r\n",
    "HTTP/1.0": b"GET /meta HTTP/1.0\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET /meta HTTP/1.1\r\n\r\n",
    "length not a number": b"POST /vectorize HTTP/1.1\r\nHost: s\r\nContent-Length: many\r\n\r\n" + GOOD,
    "length below zero": b"POST /vectorize HTTP/1.1\r\nHost: s\r\nContent-Length: -1\r\n\r\n" + GOOD,
    "two lengths": b"POST /vectorize HTTP/1.1\r\nHost: s\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\n" + GOOD,
    "length of 400 digits": b"POST /vectorize HTTP/1.1\r\nHost: s\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n",
    "chunk not a number": CHUNKED + b"\r\nzz\r\nabc\r\n0\r\n\r\n",
    "chunks that never end": CHUNKED + b"\r\n5\r\nabcde\r\n",
    "length and chunks": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "a header of 1 MB": b"GET /meta HTTP/1.1\r\nHost: s\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "a path of 1 MB": b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: s\r\n\r\n",
    "100,000 headers": b"GET /meta HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    "a header folded": b"GET /meta HTTP/1.1\r\nHost: s\r\nX-A: b\r\n c\r\n\r\n",
    "NUL in a header": b"GET /meta HTTP/1.1\r\nHost: s\r\nX-A: b\x00c\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe%ff%00 HTTP/1.1\r\nHost: s\r\n\r\n",
    "a path with dots": b"GET /../../etc/passwd HTTP/1.1\r\nHost: s\r\n\r\n",
    "an absolute path": b"GET http://elsewhere.example/meta HTTP/1.1\r\nHost: s\r\n\r\n",
    "only newlines": b"\n" * 1000,
    "upgrade": b"GET /meta HTTP/1.1\r\nHost: s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "a stranger's encoding": post(GOOD, headers="Content-Encoding: gzip\r\n" + CLOSE),
    "text after the body": post(GOOD) + b"and more",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_http_is_answered_or_hung_up_on(sidecar: Sidecar, name: str) -> None:
    answer = exchange(sidecar, ODD[name])  # a TimeoutError here is a hang
    assert all(status < b"500" for status in STATUS.findall(answer)), answer[:500]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/vectorize", "/meta", "/.well-known/live", "/no/such/path"])
def test_any_method_on_any_path_has_an_answer(sidecar: Sidecar, method: str, path: str) -> None:
    answer = sidecar.request(method, path)
    assert answer.status_code in (200, 204, 404, 405, 501)
    if method == "HEAD":
        assert answer.content == b""
    elif answer.status_code > 399:
        assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense", "multipart/form-data"]
)
def test_the_content_type_does_not_matter_to_vectorize(sidecar: Sidecar, kind: str) -> None:
    """curl -d sends a form's; Weaviate and its Go client send JSON's."""
    answer = sidecar.request("POST", "/vectorize", content=GOOD, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text


def test_pipelined_requests_are_answered_in_their_order(sidecar: Sidecar) -> None:
    texts = [fresh("pipe") for _ in range(5)]
    bodies = [json.dumps({"texts": [text]}).encode() for text in texts]
    alone = [sidecar.vectorize([text]).json()["textVectors"] for text in texts]
    answer = exchange_open(sidecar, b"".join(map(post, bodies[:-1])) + post(bodies[-1], headers=CLOSE))
    found = re.findall(rb'\{"textVectors".*?\]\]', answer)
    assert [json.loads(part + b"}")["textVectors"] for part in found] == alone, answer[:300]


def exchange_open(sidecar: Sidecar, raw: bytes) -> bytes:
    """Keeps its own side open, as clients do."""
    with connection(sidecar) as line:
        line.sendall(raw)
        return read_until_closed(line)


def test_a_bad_request_in_a_pipeline_does_not_spoil_the_next(sidecar: Sidecar) -> None:
    answer = exchange_open(sidecar, post(b"{") + post(GOOD, headers=CLOSE))
    assert STATUS.findall(answer) == [b"400", b"200"], answer[:300]


def test_a_connection_outlives_weaviates_ninety_idle_seconds(sidecar: Sidecar) -> None:
    """Read from the setting, and tried for longer than uvicorn's own five seconds."""
    assert KEEP_ALIVE_SECONDS > 90
    line = http.client.HTTPConnection("127.0.0.1", sidecar.port)
    for wait in (6, 0):
        line.request("POST", "/vectorize", GOOD)
        assert line.getresponse().read().startswith(b'{"textVectors"')
        time.sleep(wait)
    line.close()


def test_small_answers_are_sent_at_once() -> None:
    """Asyncio turns Nagle's algorithm off only where the socket names its protocol; with it, answers wait 40 ms."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_thousand_silent_connections_do_no_harm(sidecar: Sidecar) -> None:
    lines = [connection(sidecar) for _ in range(1000)]
    try:
        for line in lines[::2]:
            line.sendall(post(GOOD)[:20])
        assert sidecar.serves()
    finally:
        for line in lines:
            line.close()


def test_a_405_lists_the_allowed_methods(sidecar: Sidecar) -> None:
    """RFC 9110, 15.5.6."""
    answer = sidecar.request("DELETE", "/vectorize")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
