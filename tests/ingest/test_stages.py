import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.stages import BACKGROUND_NICENESS, Flow, SizeLimit

WIDE = SizeLimit(1000)
ATTEMPTS = 3


@dataclass(frozen=True)
class Thing:
    number: int
    held_bytes: int = 1


class Broken(Exception):
    pass


def things(count: int) -> Iterator[Thing]:
    return map(Thing, range(count))


def same(thing: Thing) -> Iterator[Thing]:
    yield thing


def through(flow: Flow, stream: Iterator[Thing], stages: Sequence[tuple[int, SizeLimit]]) -> list[Thing]:
    """What comes out of that many (threads, bound) stages that pass on what they get."""
    for threads, bound in stages:
        stream = flow.stage(stream, same, bound, threads)

    def emit_and_pass(thing: Thing) -> Iterator[Thing]:
        flow.emit(thing)
        return iter(())

    return list(flow.events(flow.stage(stream, emit_and_pass, WIDE)))


def breaks_at(number: int) -> Callable[[Thing], Iterator[Thing]]:
    def work(thing: Thing) -> Iterator[Thing]:
        if thing.number == number:
            raise Broken(number)
        yield thing

    return work


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


BOUNDS = st.builds(SizeLimit, st.integers(1, 5), st.integers(1, 20))
STAGES = st.lists(st.tuples(st.integers(1, 4), BOUNDS), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=40), STAGES)
def test_every_item_comes_out_once_for_any_stages(sizes: list[int], stages: list[tuple[int, SizeLimit]]) -> None:
    stream = [Thing(number, size) for number, size in enumerate(sizes)]
    with Flow() as flow:
        assert Counter(through(flow, iter(stream), stages)) == Counter(stream)


def test_one_thread_a_stage_keeps_the_order() -> None:
    with Flow() as flow:
        assert through(flow, things(500), [(1, SizeLimit(3)), (1, SizeLimit(2))]) == list(things(500))


def test_ten_thousand_items_pass_through_five_stages() -> None:
    with Flow() as flow:
        assert len(through(flow, things(10_000), [(1, WIDE), (2, WIDE), (4, WIDE), (2, WIDE)])) == 10_000


@pytest.mark.parametrize(
    ("bound", "most"), [(SizeLimit(4), 4), (SizeLimit(100, bytes=30), 3), (SizeLimit(4, bytes=1), 1)]
)
def test_no_more_waits_between_stages_than_the_bound_allows(bound: SizeLimit, most: int) -> None:
    made: list[int] = []
    full = threading.Event()

    def make(thing: Thing) -> Iterator[Thing]:
        made.append(thing.number)
        if len(made) > most:
            full.set()  # this one finds no room
        yield Thing(thing.number, held_bytes=10)

    with Flow() as flow:
        lane = flow.stage(things(50), make, bound)
        assert full.wait(5)
        for taken in range(10):
            assert len(made) <= taken + most + 1
            next(lane)


def test_an_item_larger_than_the_bound_passes_alone() -> None:
    with Flow() as flow:
        huge = iter([Thing(0, 10**12), Thing(1, 10**12), Thing(2)])
        assert len(through(flow, huge, [(3, SizeLimit(8, bytes=1)), (2, SizeLimit(1, bytes=1))])) == 3


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_error_of_any_stage_halts_all_and_is_raised(stage: int, threads: int) -> None:
    with Flow() as flow:
        stream: Iterator[Thing] = things(10**9)  # without an end: only the error ends it
        for number in range(3):
            stream = flow.stage(stream, breaks_at(50) if number == stage else same, SizeLimit(3), threads)
        with pytest.raises(Broken):
            list(flow.events(stream))


def test_an_error_of_the_stream_itself_is_raised() -> None:
    def stream() -> Iterator[Thing]:
        yield Thing(0)
        raise Broken

    with Flow() as flow, pytest.raises(Broken):
        through(flow, stream(), [(3, SizeLimit(1))])


def test_events_before_an_error_are_delivered() -> None:
    def work(thing: Thing) -> Iterator[Thing]:
        if thing.number == 100:
            raise Broken
        flow.emit(thing.number)
        return iter(())

    received: list[object] = []
    with Flow() as flow, pytest.raises(Broken):
        for event in flow.events(flow.stage(things(200), work, WIDE)):
            received.append(event)
    assert received == list(range(100))


def test_leaving_early_stops_all_stages() -> None:
    with Flow() as flow:
        lane = flow.stage(flow.stage(things(10**9), same, SizeLimit(2), threads=3), same, SizeLimit(2), threads=3)
        next(lane)


def test_closing_a_generator_with_a_flow_stops_all_stages() -> None:
    def endless() -> Generator[object]:
        with Flow() as flow:
            yield from flow.events(flow.stage(things(10**9), emit_and_pass(flow), WIDE))

    with closing(endless()) as events:
        assert next(events) == 0


def emit_and_pass(flow: Flow) -> Callable[[Thing], Iterator[Thing]]:
    def work(thing: Thing) -> Iterator[Thing]:
        flow.emit(thing.number)
        yield thing

    return work


def test_a_pause_ends_when_the_flow_does() -> None:
    def work(thing: Thing) -> Iterator[Thing]:
        paused.set()
        flow.pause(1000)
        raise AssertionError("the flow was left before")

    paused = threading.Event()
    with Flow() as flow:
        flow.stage(things(1), work, WIDE)
        assert paused.wait(5)


def test_a_stage_keeps_no_reference_to_a_finished_item() -> None:
    gone = threading.Event()

    class Large(Thing):
        def __del__(self) -> None:
            gone.set()

    def stream() -> Iterator[Thing]:
        yield Large(0)
        assert gone.wait(5)  # before the next one comes
        yield Thing(1)

    with Flow() as flow:
        results = list(flow.events(flow.stage(stream(), lambda thing: (), WIDE)))
    assert not results and gone.is_set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives threads priorities of their own")
def test_only_background_threads_have_a_lower_priority() -> None:
    def priority(item: Thing) -> list[Thing]:
        return [Thing(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))]

    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with Flow() as flow:
        behind = flow.stage([Thing(0)], priority, SizeLimit(1), background=True)
        assert [thing.number for thing in behind] == [max(here, BACKGROUND_NICENESS)]
        assert [thing.number for thing in flow.stage([Thing(0)], priority, SizeLimit(1))] == [here]
