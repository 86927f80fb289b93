"""A real process and the ways in which it ends."""

import signal

import httpx
import pytest

from tests.faults.processes import Sidecar, eventually, faulty
from tests.faults.requests import fresh, held, settle, together

SOON_SECONDS = 20.0  # on a busy machine; the deadline that is not waited for is 45


def ends(sidecar: Sidecar) -> int:
    assert eventually(lambda: sidecar.child.poll() is not None, SOON_SECONDS), sidecar.stderr()
    return sidecar.child.returncode


def test_the_second_sigterm_ends_it_at_once() -> None:
    with faulty() as sidecar, together() as start:
        waiting = start(sidecar.request, "POST", "/vectorize", json={"texts": [fresh("hang")]})
        settle()
        for _ in range(2):
            sidecar.child.send_signal(signal.SIGTERM)
            settle()
        assert ends(sidecar) == -signal.SIGTERM
        with pytest.raises(httpx.HTTPError):
            waiting.result()


def test_a_device_that_hangs_for_good_ends_the_process_with_a_sentence() -> None:
    with faulty(CLIP_HANG_SECONDS=1) as sidecar, together() as start:
        waiting = start(sidecar.request, "POST", "/vectorize", json={"texts": [fresh("hang")]})
        assert ends(sidecar) == 1
        assert waiting.result().status_code == 500
        assert "took over 1 seconds" in sidecar.stderr()


def test_idle_connections_are_closed_at_once_and_work_in_flight_is_finished() -> None:
    with faulty() as sidecar, together() as start, httpx.Client() as idle:
        idle.get(f"{sidecar.url}/meta")
        with held(sidecar, 2.0):
            answer = start(sidecar.vectorize, [fresh("good")])
            settle()
            sidecar.child.send_signal(signal.SIGTERM)
        assert answer.result().status_code == 200
        assert ends(sidecar) == 0
