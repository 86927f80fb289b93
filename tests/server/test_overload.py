"""Under load: full queues, deadlines and disconnected clients."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message

from clip_vectorizer.errors import Overloaded, TooLarge
from clip_vectorizer.server.app import create_app
from clip_vectorizer.server.limits import Gate, Limits
from clip_vectorizer.server.settings import Settings
from tests.fakes import Scripted
from tests.server.clients import ORIGIN, client_of


@given(sizes=st.lists(st.integers(0, 9), max_size=20), room=st.integers(1, 20))
def test_the_gate_never_lets_in_more_than_its_room_and_empties_again(sizes: list[int], room: int) -> None:
    gate, held = Gate(room, "items", "CLIP_MAX_QUEUE"), []
    for size in sizes:
        place = gate.enter(size)
        try:
            place.__enter__()
            held.append(place)
        except (Overloaded, TooLarge) as error:
            assert isinstance(error, TooLarge) == (size > room)
        assert gate.inside <= room
    for place in held:
        place.__exit__(None, None, None)
    assert gate.inside == 0


def test_a_full_queue_answers_503_at_once_and_serves_again_later() -> None:
    encoder = Scripted()

    async def scenario() -> list[httpx.Response]:
        async with client_of(encoder, max_queue=2) as client:
            waiting = [asyncio.create_task(client.post("/vectorize", json={"texts": [word]})) for word in "ab"]
            while not encoder.batches:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.05)
            refused = await client.post("/vectorize", json={"texts": ["c"]})
            encoder.free.set()
            return [refused, *await asyncio.gather(*waiting), await client.post("/vectorize", json={"texts": ["d"]})]

    refused, *served = asyncio.run(scenario())
    assert refused.status_code == 503
    assert "queue is full" in refused.json()["error"]
    assert [answer.status_code for answer in served] == [200, 200, 200]


def test_past_the_deadline_the_answer_is_a_503_and_the_place_is_free_again() -> None:
    encoder = Scripted()

    async def scenario() -> tuple[httpx.Response, httpx.Response]:
        async with client_of(encoder, max_queue=1, deadline_seconds=1.0) as client:
            late = await client.post("/vectorize", json={"texts": ["a"]})
            encoder.free.set()
            return late, await client.post("/vectorize", json={"texts": ["b"]})

    late, fine = asyncio.run(scenario())
    assert late.status_code == 503
    assert "seconds" in late.json()["error"]
    assert fine.status_code == 200, fine.text


def test_the_deadline_is_under_weaviates_fifty_seconds() -> None:
    assert Limits().deadline_seconds < 50


@pytest.mark.parametrize("leavers", [1, 3])
def test_items_of_a_disconnected_client_leave_the_queue(leavers: int) -> None:
    encoder = Scripted()
    app = create_app(Settings(), encoder)

    async def scenario() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as client:
            first = asyncio.create_task(client.post("/vectorize", json={"texts": ["first"]}))
            while not encoder.batches:
                await asyncio.sleep(0.001)
            await asyncio.gather(*(hang_up(app) for _ in range(leavers)))
            encoder.free.set()
            return await first

    assert asyncio.run(scenario()).status_code == 200
    assert encoder.batches == [("texts", 1)]


async def hang_up(app: ASGIApp) -> None:
    """Send a request and disconnect a moment later, with the messages that a server sends to an app."""
    events: list[Message] = [{"type": "http.request", "body": b'{"texts": ["gone"]}'}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        await asyncio.sleep(0.05)
        return events.pop(0)

    async def send(_message: Message) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/vectorize", "headers": [], "query_string": b""}
    await app(scope, receive, send)


@given(amounts=st.lists(st.integers(0, 9), max_size=20), room=st.integers(9, 20), leavers=st.sets(st.integers(0, 19)))
def test_bodies_wait_for_room_in_order_and_all_get_in(amounts: list[int], room: int, leavers: set[int]) -> None:
    entered: list[int] = []

    async def enter(gate: Gate, number: int, amount: int) -> None:
        async with gate.wait(amount):
            assert gate.inside <= room
            entered.append(number)
            await asyncio.sleep(0)

    async def run_all() -> int:
        gate = Gate(room, "bytes", "CLIP_MAX_QUEUE_BYTES")
        tasks = [asyncio.create_task(enter(gate, *each)) for each in enumerate(amounts)]
        await asyncio.sleep(0)
        for number in leavers & set(range(len(tasks))):
            tasks[number].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        return gate.inside

    assert asyncio.run(run_all()) == 0
    assert entered == sorted(entered)
    assert set(range(len(amounts))) - leavers <= set(entered)
