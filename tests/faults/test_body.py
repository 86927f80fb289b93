"""Bodies and pictures that are too large: refused while they come, before they cost memory."""

import contextlib
import http.client
import json
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.faults.memory import growth_of
from tests.faults.pictures import BOMBS, cut, noise, plain
from tests.faults.processes import Sidecar, faulty
from tests.faults.requests import base64_of, connection, fresh, read_until_closed, refusal, together

MEGABYTE = 1_000_000
LIMIT = MEGABYTE
IN_TRANSIT = 12 * MEGABYTE  # both sides' socket buffers may hold this much unread data
HEAD = "POST /vectorize HTTP/1.1\r\nHost: sidecar\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def limited() -> Iterator[Sidecar]:
    with faulty(CLIP_MAX_BODY_BYTES=LIMIT, CLIP_DEADLINE_SECONDS=3) as sidecar:
        yield sidecar
        assert sidecar.serves(), sidecar.stderr()


def test_a_body_of_unknown_length_is_refused_while_it_comes(limited: Sidecar) -> None:
    """A client that sends without end is stopped."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent, status, error = send_until_answer(limited, HEAD + "Transfer-Encoding: chunked\r\n\r\n", chunk, pieces=3000)
    assert (status, "CLIP_MAX_BODY_BYTES" in error) == (413, True), error
    assert sent < LIMIT + IN_TRANSIT, f"{sent} bytes were taken"


def test_a_body_announced_too_large_is_refused_before_it_comes(limited: Sidecar) -> None:
    _, status, error = send_until_answer(limited, HEAD + "Content-Length: 10000000000\r\n\r\n", b"", pieces=0)
    assert (status, "CLIP_MAX_BODY_BYTES" in error) == (413, True), error


def send_until_answer(sidecar: Sidecar, head: str, piece: bytes, pieces: int) -> tuple[int, int, str]:
    """How many bytes of body went out before an answer came, the answer's status and its error."""
    with connection(sidecar) as line:
        line.sendall(head.encode())
        sent = 0
        while sent < pieces * len(piece) and not select.select([line], [], [], 0)[0]:
            with contextlib.suppress(ConnectionError):  # closed: its answer is still to be read
                line.sendall(piece)
            sent += len(piece)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return sent, answer.status, json.loads(answer.read())["error"]


def test_a_body_within_the_limit_is_read_in_any_number_of_pieces(limited: Sidecar) -> None:
    def letters() -> Iterator[bytes]:
        yield from (bytes([byte]) for byte in b'{"texts": ["piecemeal"]}')

    assert limited.request("POST", "/vectorize", content=letters()).status_code == 200


def test_a_slow_body_delays_no_other_request_and_ends_at_the_deadline(limited: Sidecar) -> None:
    with connection(limited) as line:
        line.sendall((HEAD + "Content-Length: 1000\r\n\r\n").encode())
        line.settimeout(0.2)
        for _ in range(60):  # twelve seconds: four deadlines
            assert limited.vectorize([fresh("good")]).status_code == 200
            if (answer := trickle(line)) is not None:
                break
        else:
            raise AssertionError("a client that sends five bytes a second was never stopped")
    assert answer == b"" or (b'"error"' in answer and answer.split()[1] in (b"408", b"503")), answer


def trickle(line: socket.socket) -> bytes | None:
    """The answer so far: None for none yet, b"" when the other side has closed."""
    try:
        line.sendall(b" ")
        first = line.recv(65536)
        return first + read_until_closed(line) if first else first
    except TimeoutError:
        return None
    except OSError:
        return b""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_from_its_header(sidecar: Sidecar, name: str) -> None:
    bomb = base64_of(BOMBS[name]())
    with growth_of(sidecar.child.pid) as growth, together() as start:
        answers = [start(sidecar.vectorize, [], [base64_of(plain((1, 2, 3))), bomb]) for _ in range(8)]
        for answer in answers:
            assert "images[1]" in refusal(answer.result(), 413)
    assert growth.bytes < 50 * MEGABYTE, f"{growth.bytes / 1e6:.0f} MB"


BROKEN: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "words": lambda: b"no picture at all",
    "half a JPEG": lambda: cut(noise(64, 64)),
    "half a PNG": lambda: cut(noise(64, 64, "PNG")),
    "half a WebP": lambda: cut(noise(64, 64, "WEBP")),
    "a header alone": lambda: noise(64, 64)[:20],
    "a JPEG of zeros": lambda: noise(64, 64)[:200] + bytes(5000),
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_picture_is_refused_by_its_index_and_no_other_suffers(sidecar: Sidecar, name: str) -> None:
    good, bad = base64_of(plain((4, 5, 6))), base64_of(BROKEN[name]())
    with together() as start:
        refused = [start(sidecar.vectorize, [], [good, good, bad]) for _ in range(4)]
        served = [start(sidecar.vectorize, [fresh("good")], [good]) for _ in range(4)]
    for answer in refused:
        assert "images[2]" in refusal(answer.result(), 422)
    assert {answer.result().status_code for answer in served} == {200}
