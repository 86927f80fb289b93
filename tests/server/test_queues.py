import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.server.queues import FairPool, FairQueue
from clip_vectorizer.threads import DaemonThreads


@given(owners=st.lists(st.sampled_from("abc"), max_size=30))
def test_each_owners_items_come_in_order_and_no_owner_waits_for_two_of_another(owners: list[str]) -> None:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, owner in enumerate(owners):
        queue.push(owner, (owner, number))
    left = {owner: owners.count(owner) for owner in owners}
    taken: list[tuple[str, int]] = []
    while queue:
        owner, number = queue.pop()
        left[owner] -= 1
        if taken and taken[-1][0] == owner:
            assert not any(count for other, count in left.items() if other != owner)
        taken.append((owner, number))
    assert sorted(taken, key=lambda each: each[1]) == [(owner, n) for n, owner in enumerate(owners)]
    for name in set(owners):
        mine = [number for owner, number in taken if owner == name]
        assert mine == sorted(mine)


def test_a_pool_runs_the_lone_item_of_a_second_owner_before_the_rest_of_the_first() -> None:
    order: list[str] = []

    async def work() -> None:
        pool = FairPool(DaemonThreads(1, "test"), 1)
        many, one = object(), object()
        jobs = [pool.run(many, order.append, f"many {n}") for n in range(5)]
        await asyncio.gather(*jobs, pool.run(one, order.append, "one"))

    asyncio.run(work())
    assert order.index("one") <= 2, order


def test_callers_that_leave_give_their_places_back_and_a_running_thread_keeps_its_own() -> None:
    running, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        running.set()
        assert go_on.wait(10)

    async def work() -> str:
        pool = FairPool(DaemonThreads(2, "test"), 1)
        busy = asyncio.create_task(pool.run("a", wait))
        leaver = asyncio.create_task(pool.run("b", wait))
        await asyncio.to_thread(running.wait, 10)
        leaver.cancel()
        busy.cancel()  # its thread goes on, and its place is not free before that ends
        last = asyncio.create_task(pool.run("c", str, 7))
        await asyncio.sleep(0.05)
        assert not last.done()
        go_on.set()
        return await asyncio.wait_for(last, 10)

    assert asyncio.run(work()) == "7"


def test_work_that_fails_is_its_callers_error_alone() -> None:
    async def work() -> list[int | BaseException]:
        pool = FairPool(DaemonThreads(1, "test"), 1)
        return await asyncio.gather(*(pool.run("a", int, text) for text in ("1", "x", "3")), return_exceptions=True)

    one, wrong, three = asyncio.run(work())
    assert (one, three) == (1, 3)
    assert isinstance(wrong, ValueError)
