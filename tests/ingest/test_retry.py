from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import SidecarUnreachable, Unreachable, WeaviateUnreachable
from ingest.retry import MAX_STUCK_TRIES, MAX_WAIT_SECONDS, NoProgress, Patience, RetryWait


@dataclass
class FakeTime:
    """A clock that only sleeping moves on."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def patience(self, seconds: float, on_wait: Callable[[RetryWait], None] = lambda _: None) -> Patience:
        return Patience(seconds, self.sleep, on_wait, lambda: self.now)


def away(times: int, error: Unreachable | None = None) -> Callable[[], str]:
    """Fails so many times, then answers."""
    left = iter(range(times))

    def work() -> str:
        for _ in left:
            raise error or WeaviateUnreachable("connection refused")
        return "here"

    return work


def test_a_success_causes_no_wait() -> None:
    time = FakeTime()
    assert time.patience(10).call(away(0)) == "here" and not time.slept


def test_waits_double_up_to_the_longest() -> None:
    time = FakeTime()
    assert time.patience(300).call(away(8)) == "here"
    assert time.slept == [0.5, 1, 2, 4, 8, MAX_WAIT_SECONDS, MAX_WAIT_SECONDS, MAX_WAIT_SECONDS]


def test_every_wait_is_reported_with_its_reason() -> None:
    waits: list[RetryWait] = []
    FakeTime().patience(60, waits.append).call(away(2))
    assert waits == [RetryWait("connection refused")] * 2


@given(st.floats(0, 1000))
def test_patience_ends_with_the_last_error_soon_after_its_seconds(seconds: float) -> None:
    time = FakeTime()
    with pytest.raises(WeaviateUnreachable, match="connection refused"):
        time.patience(seconds).call(away(10**6))
    assert seconds <= time.now <= seconds + MAX_WAIT_SECONDS


def test_no_patience_is_one_try() -> None:
    time = FakeTime()
    with pytest.raises(Unreachable):
        time.patience(0).call(away(1))
    assert not time.slept


def test_a_success_in_between_begins_it_anew() -> None:
    time = FakeTime()
    patience = time.patience(20)
    for _ in range(10):
        assert patience.call(away(4)) == "here"
    assert time.now == 10 * 7.5


def test_several_calls_wear_out_one_patience() -> None:
    time = FakeTime()
    patience = time.patience(20)
    with pytest.raises(Unreachable):
        patience.call(away(99))
    before = time.now
    with pytest.raises(Unreachable):
        patience.call(away(99))
    assert time.now == before


def test_any_other_error_is_raised_at_once() -> None:
    def work() -> None:
        raise ValueError("not about being away")

    time = FakeTime()
    with pytest.raises(ValueError, match="not about"):
        time.patience(99).call(work)
    assert not time.slept


def test_an_operation_without_progress_is_given_up_soon_while_others_succeed() -> None:
    time = FakeTime()
    patience = time.patience(10_000)

    def stuck() -> None:
        patience.call(lambda: "another thread's success")
        raise NoProgress("busy")

    with pytest.raises(NoProgress):
        patience.call(stuck)
    assert len(time.slept) == MAX_STUCK_TRIES - 1


def test_no_progress_is_retried_like_an_unreachable_server_without_other_successes() -> None:
    time = FakeTime()
    assert time.patience(10_000).call(away(20, NoProgress("busy"))) == "here"


def test_an_unreachable_server_is_retried_although_other_requests_succeed() -> None:
    time = FakeTime()
    patience = time.patience(30)
    work = away(20, SidecarUnreachable("restarting"))

    def with_others() -> str:
        patience.call(lambda: "Weaviate is there")
        return work()

    assert patience.call(with_others) == "here" and time.now > 30


def test_a_pause_that_ends_the_flow_ends_the_waiting() -> None:
    class Ended(Exception):
        pass

    def pause(_: float) -> None:
        raise Ended

    with pytest.raises(Ended):
        Patience(99, pause).call(away(5))
