"""Full queues, deadlines, and clients that disconnect."""

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.faults.memory import growth_of
from tests.faults.processes import Sidecar, eventually, faulty
from tests.faults.requests import connection, fresh, held, post, refusal, settle, together

DEADLINE_SECONDS = 1
MEGABYTE = 1_000_000


@pytest.mark.parametrize("limit", [{"CLIP_MAX_QUEUE": 8}, {"CLIP_MAX_QUEUE_BYTES": 300_000}])
def test_requests_over_a_full_queue_are_503s_and_later_ones_are_served(limit: dict[str, int]) -> None:
    with faulty(CLIP_DEADLINE_SECONDS=DEADLINE_SECONDS, **limit) as sidecar, together() as start:
        with held(sidecar, 2.5 * DEADLINE_SECONDS):
            bodies = [{"texts": [fresh("good")], "padding": "x" * 100_000} for _ in range(20)]
            answers = [start(sidecar.request, "POST", "/vectorize", json=body) for body in bodies]
            for answer in answers:
                assert refusal(answer.result(), 503)
        assert eventually(sidecar.serves, 10)


def test_a_full_queue_answers_the_requests_that_it_took() -> None:
    with faulty(CLIP_MAX_QUEUE=8) as sidecar, together() as start:
        with held(sidecar, 1):
            answers = [start(sidecar.vectorize, [fresh("good")]) for _ in range(40)]
        statuses = [answer.result().status_code for answer in answers]
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 7, "the held text has one of the eight places"
        assert sidecar.serves()


def test_a_request_that_never_fits_is_a_413() -> None:
    with faulty(CLIP_MAX_QUEUE=4, CLIP_MAX_QUEUE_BYTES=MEGABYTE) as sidecar:
        assert refusal(sidecar.vectorize([fresh("good") for _ in range(33)]), 413)  # eight texts take one place
        assert refusal(sidecar.vectorize(["x" * 2 * MEGABYTE]), 413)
        assert sidecar.serves()


def test_bodies_of_unknown_length_are_bounded_all_together() -> None:
    """Each is under the limit of one body; all of them would be a quarter of a gigabyte."""
    limits = {"CLIP_MAX_QUEUE_BYTES": 32 * MEGABYTE, "CLIP_MAX_BODY_BYTES": 20 * MEGABYTE, "CLIP_DEADLINE_SECONDS": 5}
    with faulty(**limits) as sidecar, together() as start:
        with growth_of(sidecar.child.pid) as growth:
            answers = [start(sidecar.request, "POST", "/vectorize", content=pieces(16 * MEGABYTE)) for _ in range(16)]
            statuses = {answer.result().status_code for answer in answers}
        assert statuses <= {200, 408, 503}, statuses  # 408: this machine was too busy to send one in time
        assert growth.bytes < 150 * MEGABYTE, f"{growth.bytes / 1e6:.0f} MB"
        assert sidecar.serves()


def test_a_small_body_of_unknown_length_fits_into_a_queue_smaller_than_the_largest_body() -> None:
    with faulty(CLIP_MAX_QUEUE_BYTES=MEGABYTE) as sidecar:
        answer = sidecar.request("POST", "/vectorize", content=pieces(65536))
        assert answer.status_code == 200, answer.text


def pieces(size: int) -> Iterator[bytes]:
    yield b'{"texts": ["' + fresh("good").encode() + b'"], "padding": "'
    for _ in range(size // 65536):
        yield b"x" * 65536
    yield b'"}'


@pytest.mark.parametrize("politely", [True, False], ids=["closed", "reset"])
def test_items_of_clients_that_left_never_reach_the_encoder(sidecar: Sidecar, politely: bool) -> None:
    gone = [fresh("gone") for _ in range(6)]
    with held(sidecar, 1):
        lines = [connection(sidecar) for _ in gone]
        for line, text in zip(lines, gone, strict=True):
            line.sendall(post(f'{{"texts": ["{text}"]}}'.encode()))
        settle()
        for line in lines:
            hang_up(line, politely)
    assert sidecar.serves()
    assert not set(gone) & set(sidecar.encoded())


def test_a_second_request_for_a_text_gets_it_though_the_first_has_disconnected(sidecar: Sidecar) -> None:
    text = fresh("both")
    with together() as start, held(sidecar, 1):
        line = connection(sidecar)
        line.sendall(post(f'{{"texts": ["{text}"]}}'.encode()))
        settle()
        stays = start(sidecar.vectorize, [text])
        settle()
        hang_up(line, politely=True)
    assert stays.result().status_code == 200


def hang_up(line: socket.socket, politely: bool) -> None:
    if not politely:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() sends a reset
    line.close()
