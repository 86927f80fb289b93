"""Runs that are brought to their middle and kept there, so that a fault meets them in it."""

from collections.abc import Sequence
from functools import partial

from tests.stack.faults.jobs import Job
from tests.stack.faults.servers import World

PACE_SECONDS = 0.008  # an image, once released: time for a fault
WORK_OF = {"module": "/vectorize", "client": "/vectorize/images"}  # where requests reach the sidecar, by sender


def start_all(world: World, jobs: Sequence[Job], images: int) -> None:
    """Returns when all are in the middle, after so many images, and stay there until the proxy releases them."""
    world.proxy.pace_seconds = PACE_SECONDS
    for each in jobs:
        world.proxy.hold(WORK_OF[each.way], images)
        each.start()
    for each in jobs:
        each.until(partial(world.proxy.holds, WORK_OF[each.way]), "it was in the middle")
