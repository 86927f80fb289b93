"""The examples in the docstrings of ImageSearch run against the real stack, as they stand there."""

import inspect
import re
import textwrap

import pytest

from clip_vectorizer.query import ImageSearch, Move, Query
from tests.stack.support import REPOSITORY

pytestmark = pytest.mark.stack

BLOCK = re.compile(r"(?:^    .+\n|^\n)+", re.MULTILINE)
METHODS = [name for name, _ in inspect.getmembers(ImageSearch, inspect.isfunction) if not name.startswith("_")]
# `answer` needs a generative module with its server, `write_captions` images without captions (test_captions.py), and
# `regions` those of an image (tests/gallery/test_details.py).
WITHOUT_EXAMPLE = {"close", "answer", "regions", "write_captions"}


def read_example(method: str) -> str:
    """Return the indented block of a method's docstring."""
    blocks = BLOCK.findall(inspect.getdoc(getattr(ImageSearch, method)) + "\n")
    return textwrap.dedent("".join(blocks)).strip()


@pytest.mark.parametrize("method", sorted(set(METHODS) - WITHOUT_EXAMPLE))
def test_the_example_of_a_method_runs(
    found: ImageSearch, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = read_example(method)
    assert f"search.{method}(" in example
    monkeypatch.chdir(REPOSITORY)
    exec(example, {"search": found, "Query": Query, "Move": Move})
    assert "print(" not in example or capsys.readouterr().out
