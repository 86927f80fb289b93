"""How each command starts: a Ctrl-C while its libraries are still being loaded ends it like any other Ctrl-C."""

import sys
from importlib import import_module

INTERRUPTED = 130  # what a shell reports for a process ended by Ctrl-C


def vectorizer() -> None:
    run_command("clip_vectorizer.cli")


def search() -> None:
    run_command("clip_vectorizer.query.cli.search")


def classify() -> None:
    run_command("clip_vectorizer.query.cli.classify")


def evaluate() -> None:
    run_command("clip_vectorizer.query.cli.evaluate")


def ingest() -> None:
    run_command("ingest.cli")


def demo() -> None:
    run_command("ingest.demo.cli")


def run_command(module: str) -> None:
    try:
        command = import_module(module).main
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - click may not be there yet
        sys.exit(INTERRUPTED)
    command()
