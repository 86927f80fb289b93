"""The worker of a device dies or hangs: the process is not ready and ends, so an orchestrator can act."""

import signal

import httpx
import pytest

from tests.faults.processes import Sidecar, eventually, faulty
from tests.faults.requests import fresh, refusal, together

ENDS_SECONDS = 20.0  # generous: `within seconds`, on a busy machine


def states_until_the_end(sidecar: Sidecar) -> list[int]:
    """The answers of ready until the process ended, 0 for no answer."""
    states: list[int] = []

    def ended() -> bool:
        try:
            states.append(sidecar.request("GET", "/.well-known/ready").status_code)
        except httpx.HTTPError:
            states.append(0)
        return sidecar.child.poll() is not None

    assert eventually(ended, ENDS_SECONDS), f"still there: {states[-1]}\n{sidecar.stderr()}"
    return states


@pytest.mark.parametrize("word", ["kill", "lost"])
def test_a_dead_worker_is_not_ready_and_ends_the_process_with_an_error(word: str) -> None:
    with faulty() as sidecar, together() as start:
        waiting = start(sidecar.request, "POST", "/vectorize", json={"texts": [fresh(word)]})
        states = states_until_the_end(sidecar)
        assert sidecar.child.returncode not in (0, -signal.SIGKILL), sidecar.stderr()
        down = [
            state for state in states if state != 204
        ]  # a 503 until the socket is closed: soon, so a slow probe may miss it
        assert set(down) <= {503, 0} and states[-len(down) :] == down, f"ready again: {states}"
        assert refusal(waiting.result(), 500, 503), "the pending request must get an error"


def test_a_dead_worker_leaves_no_request_waiting() -> None:
    with faulty() as sidecar, together() as start:
        waiting = [start(sidecar.vectorize, [fresh("sleep 0.5")])]
        waiting += [start(sidecar.vectorize, [fresh("good")]) for _ in range(5)]
        waiting += [start(sidecar.vectorize, [fresh("kill")])]
        assert eventually(lambda: sidecar.child.poll() is not None, ENDS_SECONDS)
        for answer in waiting:
            assert answer.result().status_code in (200, 500, 503)


def test_a_hung_pass_is_a_503_at_the_deadline_and_the_process_can_end() -> None:
    with faulty(CLIP_DEADLINE_SECONDS=1) as sidecar, together() as start:
        hang = fresh("hang")
        stuck = [start(sidecar.vectorize, [hang])]
        assert eventually(lambda: hang in sidecar.encoded())
        stuck += [start(sidecar.vectorize, [fresh("good")]) for _ in range(2)]
        for answer in stuck:
            assert "second" in refusal(answer.result(), 503)
        assert sidecar.request("GET", "/.well-known/live").status_code == 204
        assert sidecar.request("GET", "/meta").status_code == 200
        sidecar.child.send_signal(signal.SIGTERM)
        assert eventually(lambda: sidecar.child.poll() is not None, ENDS_SECONDS), sidecar.stderr()
