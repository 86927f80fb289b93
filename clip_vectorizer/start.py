"""How each command starts: a Ctrl-C while its libraries are still being loaded ends it like any other Ctrl-C."""

import sys
from importlib import import_module

INTERRUPTED = 130  # what a shell reports for a process ended by Ctrl-C


def vectorizer() -> None:
    start("clip_vectorizer.cli")


def search() -> None:
    start("clip_vectorizer.query.cli.search")


def classify() -> None:
    start("clip_vectorizer.query.cli.classify")


def evaluate() -> None:
    start("clip_vectorizer.query.cli.evaluate")


def ingest() -> None:
    start("ingest.cli")


def demo() -> None:
    start("ingest.demo.cli")


def start(module: str) -> None:
    try:
        command = import_module(module).main
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - click may not be there yet
        sys.exit(INTERRUPTED)
    command()
