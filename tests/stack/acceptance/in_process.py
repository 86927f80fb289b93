"""Commands run inside the test process: the same output and exit codes, without the seconds of a start."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner

from clip_vectorizer.cli import main as clip_vectorizer
from clip_vectorizer.query import Hit
from clip_vectorizer.query.cli.classify import main as clip_classify
from clip_vectorizer.query.cli.evaluate import main as clip_eval
from clip_vectorizer.query.cli.ground import main as clip_ground
from clip_vectorizer.query.cli.search import main as clip_search
from ingest.cli import main as clip_ingest
from tests.http_server import ALLOWED
from tests.stack.support import OURS, Ran, Stack

Command = Callable[..., Ran]

LABEL_SETS = "ImageLabelSet"
COMMANDS: Mapping[str, click.Command] = {
    "clip-search": clip_search,
    "clip-classify": clip_classify,
    "clip-eval": clip_eval,
    "clip-ground": clip_ground,
    "clip-ingest": clip_ingest,
    "clip-vectorizer": clip_vectorizer,
}


def ran(
    env: Mapping[str, str], command: str, *words: str | Path | float, expect: int | None = 0, stdin: str | None = None
) -> Ran:
    """Run as `support.run_command` does. An exception that escapes is the stack trace that a user would see."""
    settings = {name: None for name in os.environ if name.startswith(OURS)} | dict(env)
    done = CliRunner().invoke(COMMANDS[command], list(map(str, words)), stdin, env=settings)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert "Traceback" not in done.stderr, done.stderr
    if expect is not None:
        message = f"{command} {words} ended {done.exit_code}, not {expect}:\n{done.stdout}\n{done.stderr}"
        assert done.exit_code == expect, message
    return Ran(done.exit_code, done.stdout, done.stderr)


def connection(stack: Stack) -> dict[str, Any]:
    """Return the arguments of ImageSearch.connect."""
    return {
        "weaviate_url": stack.weaviate_url,
        "grpc_port": stack.grpc_port,
        "api_key": stack.api_key,
        "vectorizer_url": stack.vectorizer_url,
        "allow_addresses": ALLOWED,
    }


def paths(hits: Sequence[Hit]) -> list[str]:
    return [hit.path for hit in hits]


def same_answer(one: Sequence[Hit], other: Sequence[Hit]) -> bool:
    """Whether both have the same images at the same similarity; equal images may swap places."""
    one_by_path, other_by_path = ({hit.path: hit.similarity for hit in hits} for hits in (one, other))
    return bool(one_by_path == pytest.approx(other_by_path, abs=2e-6))


def unit(vector_d: np.ndarray) -> np.ndarray:
    return np.asarray(vector_d / np.linalg.norm(vector_d))


def stored_sets(stack: Stack) -> list[dict[str, Any]]:
    """Return the stored label sets from the REST API; none before the first one is created."""
    answer = stack.weaviate("GET", f"/v1/objects?class={LABEL_SETS}&limit=1000")
    return list(answer.json()["objects"]) if answer.is_success else []
