"""How each command starts. Ctrl-C while its libraries load ends it like any other Ctrl-C: one word, exit code 130."""

import sys
from importlib import import_module

from clip_vectorizer.exit_codes import INTERRUPTED


def vectorizer() -> None:
    run_command("clip_vectorizer.cli")


def search() -> None:
    run_command("clip_vectorizer.query.cli.search")


def classify() -> None:
    run_command("clip_vectorizer.query.cli.classify")


def ground() -> None:
    run_command("clip_vectorizer.query.cli.ground")


def caption() -> None:
    run_command("clip_vectorizer.query.cli.caption")


def evaluate() -> None:
    run_command("clip_vectorizer.query.cli.evaluate")


def gallery() -> None:
    run_command("clip_vectorizer.gallery.cli")


def ingest() -> None:
    run_command("ingest.cli")


def demo() -> None:
    run_command("ingest.demo.cli")


def run_command(module: str) -> None:
    """Import `module`, which may take seconds, and run its `main`."""
    try:
        command = import_module(module).main
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - click may not be loaded yet
        sys.exit(INTERRUPTED)
    command()
