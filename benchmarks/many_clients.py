"""A load of several client processes: one alone, being Python, is slower than a card.

Each request sends one of some pictures with a comment of its own, so that no cache has seen its bytes.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from typing import Any

import click

from benchmarks.load import drive, image_bodies

CLIENT_LOAD = 32  # requests in flight that one process can keep up
START_SECONDS = 120


def rate_of(url: str, pictures: Sequence[bytes], in_flight: int, seconds: float, stamp: str) -> float:
    """Images a second over all clients, which begin together. No two calls with one server have the same `stamp`."""
    clients = -(-in_flight // CLIENT_LOAD)
    context = multiprocessing.get_context("spawn")  # a forked process would share this one's CUDA
    with context.Manager() as manager, ProcessPoolExecutor(clients, mp_context=context) as pool:
        line = manager.Barrier(clients, timeout=START_SECONDS)
        jobs = [
            pool.submit(client, line, url, list(pictures), share, seconds, f"{stamp}-{place}-")
            for place, share in enumerate(shares(in_flight, clients))
        ]
        rate = sum(job.result() for job in jobs)
    if not rate:
        raise click.ClickException(f"no answer in {seconds} seconds with {in_flight} in flight: give it more --seconds")
    return rate


def shares(in_flight: int, clients: int) -> list[int]:
    return [in_flight // clients + (each < in_flight % clients) for each in range(clients)]


def client(line: Any, url: str, pictures: list[bytes], in_flight: int, seconds: float, stamp: str) -> float:
    line.wait()
    return drive(url, stamped(pictures, stamp), in_flight, seconds, distinct=False).rate


def stamped(pictures: Sequence[bytes], stamp: str) -> Iterator[bytes]:
    """Requests without end, each of other bytes: a JPEG comment (marker FFFE) right after the start of the image."""
    for number in count():
        picture, comment = pictures[number % len(pictures)], f"{stamp}{number}".encode()
        segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        yield image_bodies([picture[:2] + segment + picture[2:]])[0]
