"""Odd clients on a real socket: slow, silent, gone, too many, and not speaking HTTP."""

import json
import socket
import time

import httpx
import pytest

from clip_vectorizer.server.http_protocol import MAX_HEAD_BYTES
from tests.fakes import Scripted
from tests.server.clients import read_all, serving

BODY = b'{"texts": ["a"]}'
HEAD = b"POST /vectorize HTTP/1.1\r\nHost: s\r\nContent-Length: %d\r\n" % len(BODY)


def answer_on(line: socket.socket) -> tuple[int, str]:
    """The status and the sentence of one answer that ends the connection."""
    head, _, body = read_all(line).partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    return int(head.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET /meta HTTP/9.9\r\n\r\n", b"nonsense\r\n\r\n"])
def test_bytes_that_are_not_http_are_answered_in_json(raw: bytes) -> None:
    with serving() as sidecar, sidecar.line() as line:
        line.sendall(raw)
        assert answer_on(line)[0] == 400


def test_a_head_too_long_is_a_431() -> None:
    with serving() as sidecar, sidecar.line() as line:
        line.sendall(b"GET /meta HTTP/1.1\r\nX-Long: " + b"x" * 2 * MAX_HEAD_BYTES)
        status, sentence = answer_on(line)
    assert status == 431
    assert str(MAX_HEAD_BYTES) in sentence


def test_an_incomplete_head_is_a_408_at_the_deadline() -> None:
    with serving(deadline_seconds=0.2) as sidecar, sidecar.line() as line:
        line.sendall(HEAD)
        status, sentence = answer_on(line)
    assert status == 408
    assert "head did not arrive within" in sentence


def test_an_incomplete_body_is_a_408_at_the_deadline() -> None:
    with serving(deadline_seconds=0.2) as sidecar, sidecar.line() as line:
        line.sendall(HEAD + b"\r\n" + BODY[:5])
        status, sentence = answer_on(line)
    assert status == 408
    assert "the body did not arrive within" in sentence


def test_a_slow_model_and_a_slow_body_have_different_errors() -> None:
    encoder = Scripted()
    with serving(encoder, deadline_seconds=0.2) as sidecar:
        answer = httpx.post(f"{sidecar.url}/vectorize", content=BODY)
        encoder.free.set()
    assert answer.status_code == 503
    assert "no answer within" in answer.json()["error"]


def test_a_connection_may_be_silent_for_longer_than_the_deadline_between_requests() -> None:
    with serving(deadline_seconds=0.2) as sidecar, httpx.Client() as client:
        for _ in range(2):
            assert client.post(f"{sidecar.url}/vectorize", content=BODY).status_code == 200
            time.sleep(0.5)


def test_expect_100_continue_is_granted() -> None:
    with serving() as sidecar, sidecar.line() as line:
        line.sendall(HEAD + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 100")
        line.sendall(BODY)
        assert b"textVectors" in read_all(line)


def test_expect_100_continue_is_refused_for_a_body_over_the_limit() -> None:
    with serving(max_body_bytes=10) as sidecar, sidecar.line() as line:
        line.sendall(b"POST /vectorize HTTP/1.1\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n")
        assert line.recv(1000).startswith(b"HTTP/1.1 413")


def test_a_client_that_half_closes_counts_as_gone_and_the_next_is_served() -> None:
    with serving() as sidecar:
        with sidecar.line() as line:
            line.sendall(HEAD + b"\r\n" + BODY)
            line.shutdown(socket.SHUT_WR)
            read_all(line)
        assert httpx.post(f"{sidecar.url}/vectorize", content=BODY).status_code == 200


def test_disconnected_clients_are_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    encoder = Scripted()
    with serving(encoder) as sidecar, httpx.Client(base_url=sidecar.url) as client:
        for gone in range(1, 6):
            with sidecar.line() as line:
                line.sendall(HEAD + b"\r\n" + BODY)
                wait_for_metric(client, "clip_items_in_flight 1.0")
            wait_for_metric(client, f'clip_errors_total{{kind="client_gone"}} {gone}.0')
        encoder.free.set()
    assert not caplog.records or all(record.levelname != "ERROR" for record in caplog.records), caplog.text


def wait_for_metric(client: httpx.Client, line: str) -> None:
    deadline = time.monotonic() + 30
    while line not in (page := client.get("/metrics").text):
        assert time.monotonic() < deadline, page
        time.sleep(0.01)


def test_a_connection_over_the_limit_is_a_503_with_the_reason_and_probes_are_answered() -> None:
    with serving(max_connections=1) as sidecar, sidecar.line() as first, httpx.Client(base_url=sidecar.url) as second:
        first.sendall(b"GET /meta HTTP/1.1\r\n\r\n")
        assert first.recv(1000).startswith(b"HTTP/1.1 200")
        assert second.get("/.well-known/live").status_code == 204
        refused = second.get("/meta")
        assert refused.status_code == 503
        assert "CLIP_MAX_CONNECTIONS" in refused.json()["error"]


@pytest.mark.parametrize("path", ["/meta", "/metrics", "/openapi.json", "/v1/models"])
def test_head_answers_as_get_without_the_body(path: str) -> None:
    with serving() as sidecar, httpx.Client(base_url=sidecar.url) as client:
        head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert int(head.headers["content-length"]) > 0


def test_rubbish_after_a_request_does_not_cost_its_answer() -> None:
    encoder = Scripted()
    with serving(encoder) as sidecar, sidecar.line() as line:
        line.sendall(HEAD + b"\r\n" + BODY + b"\x00rubbish\r\n\r\n")
        encoder.free.set()
        assert b"textVectors" in read_all(line)


def test_a_body_whose_chunks_are_nonsense_is_a_400() -> None:
    with serving() as sidecar, sidecar.line() as line:
        line.sendall(b"POST /vectorize HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert answer_on(line)[0] == 400


def test_requests_that_are_not_http_are_counted() -> None:
    with serving() as sidecar:
        with sidecar.line() as line:
            line.sendall(b"nonsense\r\n\r\n")
            read_all(line)
        page = httpx.get(f"{sidecar.url}/metrics").text
    assert 'clip_errors_total{kind="bad_http"} 1.0' in page
    assert 'clip_requests_total{route="other",status="400"} 1.0' in page
