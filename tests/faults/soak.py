"""Sends thousands of requests, a tenth of them bad, and checks every answer and the memory.

    python -m tests.faults.soak --requests 20000

Every request must get exactly the answer that it should: the vectors computed alone before, or the error's status and
sentence. Memory is the median of RSS over a tenth of the run: the tenth after the warm-up against the last one. The
content cache is small, so it has been full since before the first request.
"""

import argparse
import itertools
import platform
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from clip_vectorizer.vectors import Vectors
from tests.faults.memory import resident_bytes
from tests.faults.processes import Sidecar, emoji
from tests.faults.requests import base64_of
from tests.faults.soak_client import Client
from tests.faults.soak_requests import BODY_LIMIT, Material, bad, good, material

BAD_SHARE = 0.1
CACHE_BYTES = 100_000  # of some 700 inputs, a row of 1 KB each: far too small for all
SEED = 4
MEMORY_SHARE = 0.05  # how far memory may be from its level after warm-up


@dataclass
class Soak:
    """The requests and their results; many threads write to it."""

    requests: int
    warm_up: float  # share of the requests
    memory_share: float = MEMORY_SHARE
    wrong: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    resident: list[int] = field(default_factory=list)  # bytes, after each request
    rows: int = 0
    equal_rows: int = 0
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def memory(self) -> tuple[float, float]:
        """Bytes after the warm-up and at the end."""
        start, tenth = int(self.warm_up * self.requests), max(1, self.requests // 10)
        return statistics.median(self.resident[start : start + tenth]), statistics.median(self.resident[-tenth:])

    def growth(self) -> float:
        before, after = self.memory()
        return after / before - 1

    def passed(self) -> bool:
        return not self.wrong and sum(self.kinds.values()) == self.requests and abs(self.growth()) <= self.memory_share

    def report(self) -> Iterator[str]:
        before, after = (level / 1e6 for level in self.memory())
        yield f"machine        {platform.platform()}, {platform.processor() or platform.machine()}"
        yield f"command        python -m tests.faults.soak --requests {self.requests}"
        yield f"requests       {sum(self.kinds.values())} in {self.seconds:.0f} s, all by the bundled model"
        yield f"wrong or lost  {len(self.wrong)}"
        yield f"vectors        {self.rows}, {self.equal_rows} equal to the last bit to those computed alone"
        yield f"memory         {before:.0f} MB after warm-up, {after:.0f} MB at the end: {self.growth():+.1%}"
        tenths = self.resident[:: max(1, self.requests // 10)]
        yield (
            "by tenths      "
            + " ".join(f"{level / 1e6:.0f}" for level in (*tenths, max(self.resident)))
            + " MB at most"
        )
        yield "kinds          " + ", ".join(f"{kind} {number}" for kind, number in self.kinds.most_common())
        yield from self.wrong[:20]


def soak(requests: int, connections: int = 8, warm_up: float = 0.1, memory_share: float = MEMORY_SHARE) -> Soak:
    result = Soak(requests, warm_up, memory_share)
    stuff, numbers = material(random.Random(SEED)), itertools.count()
    with emoji(CLIP_MAX_BODY_BYTES=BODY_LIMIT, CLIP_CACHE_BYTES=CACHE_BYTES) as sidecar:
        vectors = vectors_alone(sidecar, stuff)
        start = time.monotonic()
        with ThreadPoolExecutor(connections) as pool:
            clients = [Client(sidecar.port, vectors) for _ in range(connections)]
            for future in [pool.submit(send_in_turn, sidecar, client, stuff, numbers, result) for client in clients]:
                future.result()
        result.seconds = time.monotonic() - start
        if not sidecar.serves():
            result.wrong.append(f"the sidecar does not serve any more: {sidecar.stderr()[-2000:]}")
    return result


def vectors_alone(sidecar: Sidecar, stuff: Material) -> dict[str, Vectors]:
    texts = {text: sidecar.vectorize([text]).json()["textVectors"][0] for text in stuff.texts}
    images = {
        name: sidecar.vectorize([], [base64_of(file)]).json()["imageVectors"][0] for name, file in stuff.images.items()
    }
    return {name: np.array(row, dtype=np.float32) for name, row in (texts | images).items()}


def send_in_turn(
    sidecar: Sidecar, client: Client, stuff: Material, numbers: "itertools.count[int]", result: Soak
) -> None:
    while (number := next(numbers)) < result.requests:
        choice = random.Random(SEED + number)
        request = (bad if choice.random() < BAD_SHARE else good)(choice, stuff)
        problem = client.problem(request)
        with result.lock:
            result.kinds[request.kind] += 1
            result.resident.append(resident_bytes(sidecar.child.pid))
            if problem:
                result.wrong.append(f"request {number}, {request.kind}: {problem}")
    client.close()
    with result.lock:
        result.rows += client.rows
        result.equal_rows += client.equal_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=8)
    given = parser.parse_args()
    result = soak(given.requests, given.connections)
    sys.stdout.write("\n".join(result.report()) + "\n")
    sys.exit(0 if result.passed() else 1)


if __name__ == "__main__":
    main()
