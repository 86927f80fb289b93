"""SIGTERM: pending requests are answered, then the process ends with 0."""

import signal
import time
from threading import Barrier

import httpx

from tests.faults.processes import eventually, faulty
from tests.faults.requests import connection, expected, fresh, held, post, refusal, settle, text_vectors, together

ENDS_SECONDS = 30.0
CLIENTS = 6
LEAVE_SECONDS = 1.0  # in which requests are still answered


def test_requests_in_flight_get_their_answers_and_the_process_ends_with_0() -> None:
    texts = [fresh("good") for _ in range(12)]
    with faulty() as sidecar, together() as start:
        with held(sidecar, 2.5):
            answers = [start(sidecar.vectorize, [text]) for text in texts]
            settle()
            sidecar.child.send_signal(signal.SIGTERM)
            time.sleep(LEAVE_SECONDS + 0.4)
            assert_refused(sidecar.url)
        for text, answer in zip(texts, answers, strict=True):
            assert (text_vectors(answer.result()) == expected([text])).all()
        assert eventually(lambda: sidecar.child.poll() is not None, ENDS_SECONDS), sidecar.stderr()
        assert sidecar.child.returncode == 0, sidecar.stderr()


def test_no_request_is_lost_by_clients_that_keep_their_connections() -> None:
    """As Weaviate's pool does: they send one request after the other, and connect again when they are sent away."""
    with faulty() as sidecar, together() as start:
        connected = Barrier(CLIENTS + 1)
        clients = [start(send_until_sent_away, sidecar.url, connected) for _ in range(CLIENTS)]
        connected.wait(60)
        settle()
        sidecar.child.send_signal(signal.SIGTERM)
        assert all(client.result() > 1 for client in clients)
        assert eventually(lambda: sidecar.child.poll() is not None, ENDS_SECONDS), sidecar.stderr()
        assert sidecar.child.returncode == 0, sidecar.stderr()


def send_until_sent_away(url: str, connected: Barrier) -> int:
    """How many requests were answered on one connection until a response ended it. Any failure is raised."""
    with httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        client.get("/meta")
        connected.wait(60)
        for number in range(1, 10_000):
            answer = client.post("/vectorize", json={"texts": [fresh("good")]})
            assert answer.status_code == 200, answer.text
            if answer.headers.get("connection") == "close":
                return number
            time.sleep(0.02)  # the connection idles between two requests, as most of a pool does
    raise AssertionError("the sidecar never ended")


def assert_refused(url: str) -> None:
    """A new client gets no connection, or a 503."""
    try:
        answer = httpx.post(f"{url}/vectorize", json={"texts": [fresh("late")]}, trust_env=False)
    except httpx.HTTPError:
        return
    assert refusal(answer, 503)


def test_idle_and_half_sent_connections_do_not_keep_the_process() -> None:
    with faulty(CLIP_DEADLINE_SECONDS=2) as sidecar:
        lines = [connection(sidecar) for _ in range(3)]
        lines[1].sendall(b"POST /vectorize HTTP/1.1\r\nHost: sidecar\r\nContent-Le")
        lines[2].sendall(post(b'{"texts": ["half"]}')[:-5])
        settle()
        sidecar.child.send_signal(signal.SIGTERM)
        assert eventually(lambda: sidecar.child.poll() is not None, ENDS_SECONDS), sidecar.stderr()
        assert sidecar.child.returncode == 0, sidecar.stderr()
        for line in lines:
            line.close()
