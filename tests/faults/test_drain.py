"""SIGTERM: pending requests are answered, then the process ends with 0."""

import signal

import httpx

from tests.faults.processes import eventually, faulty
from tests.faults.requests import connection, expected, fresh, held, post, refusal, settle, text_vectors, together

ENDS_SECONDS = 30.0


def test_requests_in_flight_get_their_answers_and_the_process_ends_with_0() -> None:
    texts = [fresh("good") for _ in range(12)]
    with faulty() as sidecar, together() as start:
        with held(sidecar, 1.5):
            answers = [start(sidecar.vectorize, [text]) for text in texts]
            settle()
            sidecar.child.send_signal(signal.SIGTERM)
            settle()
            assert_refused(sidecar.url)
        for text, answer in zip(texts, answers, strict=True):
            assert (text_vectors(answer.result()) == expected([text])).all()
        assert eventually(lambda: sidecar.child.poll() is not None, ENDS_SECONDS), sidecar.stderr()
        assert sidecar.child.returncode == 0, sidecar.stderr()


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
