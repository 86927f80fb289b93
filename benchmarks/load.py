"""A load like Weaviate's: one item a request, a fixed number in flight, connections kept alive, every item another.

Plain threads with http.client: on a machine of two cores a client that parses and checks while it measures would be
measured too. Answers are kept as bytes and checked afterwards.
"""

import base64
import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

VECTORIZE = "/vectorize"
HEADERS = {"Content-Type": "application/json"}
TIMEOUT_SECONDS = 50  # Weaviate's
REFUSED = 503
RETRY_SECONDS = 1.0  # as the sidecar's Retry-After has it


@dataclass(frozen=True, slots=True)
class RequestTimes:
    start: float  # seconds of time.perf_counter
    end: float
    body: bytes
    headers: Mapping[str, str]
    status: int = 200

    @property
    def milliseconds(self) -> float:
        return (self.end - self.start) * 1000


@dataclass(frozen=True, slots=True)
class Load:
    """What came back between the end of the warm-up and the last answer within the time."""

    seconds: float
    answers: Sequence[RequestTimes]
    refused: int = 0  # requests that got a 503 instead

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.answers) / self.seconds

    @property
    def p50(self) -> float:
        """Milliseconds."""
        return statistics.median(each.milliseconds for each in self.answers)

    @property
    def p99(self) -> float:
        """Milliseconds; the slowest of fewer than a hundred answers."""
        ordered = sorted(each.milliseconds for each in self.answers)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    def header(self, name: str) -> list[float]:
        """A timing header of every answer, milliseconds; empty where the server sends none."""
        return [float(each.headers[name]) for each in self.answers if name in each.headers]


def drive_load(
    url: str,
    bodies: Iterable[bytes],
    in_flight: int,
    seconds: float,
    distinct: bool = True,
    read: Callable[[bytes], list[float]] | None = None,
    may_refuse: bool = False,
    least_turns: int = 0,
) -> Load:
    """Keeps `in_flight` requests open for `seconds` after a warm-up of one request each.

    `url` is a server's, whose path is then Weaviate's, or one with a path; `read` finds the vector in an answer of
    another server. Ends early when `bodies` do, and late where places in flight would be answered less than
    `least_turns` times: a batch of all that are in flight may take longer than `seconds`. With `may_refuse` a 503 is
    counted, and its thread waits RETRY_SECONDS.
    Raises AssertionError when any other answer is no vector or, where bodies are `distinct`, the same as another's.
    """
    shared = Shared(iter(bodies), may_refuse)
    threads = [threading.Thread(target=post_all, args=(url, shared), daemon=True) for _ in range(in_flight)]
    for thread in threads:
        thread.start()
    start = shared.wait_for(in_flight)
    shared.end.wait(seconds)
    shared.wait_for(in_flight * (1 + least_turns))
    end = time.perf_counter()
    shared.end.set()
    for thread in threads:
        thread.join()
    if shared.errors:
        raise shared.errors[0]
    ended = [each for each in shared.answers if start < each.end <= end]
    counted = [each for each in ended if each.status != REFUSED]
    if not counted:
        raise AssertionError(f"no answer within {seconds:g} seconds; measure for longer")
    seconds = max(each.end for each in counted) - start  # whole batches: a cut one would count as none
    check([each for each in shared.answers if each.status != REFUSED], distinct, read or read_vector)
    return Load(seconds, counted, len(ended) - len(counted))


@dataclass(slots=True)
class Shared:
    """Between the threads of one load. `end` is set when the time is over, the bodies are, or a request failed."""

    bodies: Iterator[bytes]
    may_refuse: bool = False
    answers: list[RequestTimes] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    end: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_body(self) -> bytes | None:
        with self.lock:
            body = None if self.end.is_set() else next(self.bodies, None)
        if body is None:
            self.end.set()
        return body

    def wait_for(self, count: int) -> float:
        """When the first `count` answers were there, or the load ended."""
        while len(self.answers) < count and not self.end.wait(0.001):
            pass
        return time.perf_counter()


def post_all(url: str, shared: Shared) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        while (body := shared.next_body()) is not None:
            answer = post(connection, parts.path or VECTORIZE, body, shared.may_refuse)
            shared.answers.append(answer)
            if answer.status == REFUSED:
                shared.end.wait(RETRY_SECONDS)
    except Exception as error:  # re-raised in the measuring thread
        shared.errors.append(error)
        shared.end.set()
    finally:
        connection.close()


def post(connection: http.client.HTTPConnection, path: str, body: bytes, may_refuse: bool = False) -> RequestTimes:
    start = time.perf_counter()
    connection.request("POST", path, body, HEADERS)
    response = connection.getresponse()
    answer = response.read()
    end = time.perf_counter()
    if response.status != 200 and not (may_refuse and response.status == REFUSED):
        raise AssertionError(f"{response.status} instead of a vector: {answer[:200]!r}")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return RequestTimes(start, end, answer, headers, response.status)


def check(answers: Sequence[RequestTimes], distinct: bool, read: Callable[[bytes], list[float]]) -> None:
    """Every answer holds one vector, and no two the same: a server that answers from a cache is not measured."""
    vectors = {tuple(read(each.body)) for each in answers}
    if distinct and len(vectors) != len(answers):
        raise AssertionError(f"{len(answers)} different items got {len(vectors)} different vectors")


def read_vector(answer: bytes) -> list[float]:
    fields = json.loads(answer)
    rows = [*(fields["textVectors"] or ()), *(fields["imageVectors"] or ())]
    if len(rows) != 1:
        raise AssertionError(f"{len(rows)} vectors in answer to one item")
    row: list[float] = rows[0]
    return row


def make_image_bodies(files: Iterable[bytes]) -> list[bytes]:
    """Weaviate's JSON, one image a request."""
    return [b'{"images":["' + base64.b64encode(file) + b'"]}' for file in files]


def make_text_bodies(texts: Iterable[str]) -> list[bytes]:
    return [json.dumps({"texts": [text]}).encode() for text in texts]
