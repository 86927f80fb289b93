"""A load of several client processes: one alone, being Python, is slower than a card.

Each makes its pictures, prints `ready`, waits for a line on stdin, and prints its rate at the end.
Each request sends one of the pictures with a comment of its own, so that no cache has seen its bytes.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import count

import click

from benchmarks.load import drive_load, make_image_bodies
from benchmarks.photographs import add_comment, make_photographs

CLIENT_LOAD = 32  # requests in flight that one process can keep up
DIFFERENT = 64  # pictures
Client = subprocess.Popen[str]


def measure_rate(url: str, in_flight: int, seconds: float, stamp: str) -> float:
    """Images a second over all clients, which begin together. No two calls with one server have the same `stamp`."""
    clients = [
        start_clients(url, share, seconds, f"{stamp}-{place}-")
        for place, share in enumerate(split_load(in_flight, CLIENT_LOAD))
    ]
    try:
        for each in clients:
            read_line(each)
        for each in clients:
            begin_load(each)
        rate = sum(float(read_line(each)) for each in clients)
    finally:
        for each in clients:
            each.kill()
    if not rate:
        raise click.ClickException(f"no answer in {seconds} seconds with {in_flight} in flight: give it more --seconds")
    return rate


def split_load(in_flight: int, most: int) -> list[int]:
    clients = -(-in_flight // most)
    return [in_flight // clients + (each < in_flight % clients) for each in range(clients)]


def start_clients(url: str, in_flight: int, seconds: float, stamp: str) -> Client:
    words = ["--url", url, "--in-flight", str(in_flight), "--seconds", str(seconds), "--stamp", stamp]
    return subprocess.Popen(
        [sys.executable, __file__, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def begin_load(client: Client) -> None:
    assert client.stdin
    client.stdin.write("go\n")
    client.stdin.flush()


def read_line(client: Client) -> str:
    """Return its next line. Raises RuntimeError when it ended instead; the reason is on stderr."""
    assert client.stdout
    if not (line := client.stdout.readline()):
        raise RuntimeError(f"a client process ended with {client.wait()}")
    return line


@click.command()
@click.option("--url", required=True)
@click.option("--in-flight", type=click.IntRange(1), default=8, show_default=True)
@click.option("--seconds", default=3.0, show_default=True)
@click.option("--stamp", default="", help="What the comments in the pictures begin with.")
def main(url: str, in_flight: int, seconds: float, stamp: str) -> None:
    """Load a server with pictures once a line comes on stdin, and print the images a second.

    \b
    Example:
      echo go | python benchmarks/many_clients.py --url http://127.0.0.1:9090 --in-flight 8
    """
    pictures = make_photographs(DIFFERENT)
    click.echo("ready")
    sys.stdin.readline()
    click.echo(drive_load(url, stamp_picture(pictures, stamp), in_flight, seconds, distinct=False).rate)


def stamp_picture(pictures: Sequence[bytes], stamp: str) -> Iterator[bytes]:
    """Requests without end, each of other bytes."""
    for number in count():
        yield make_image_bodies([add_comment(pictures[number % len(pictures)], f"{stamp}{number}".encode())])[0]


if __name__ == "__main__":
    main()
