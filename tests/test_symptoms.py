"""The messages that docs/deploy.md explains are those that the code has."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.documents import REPOSITORY, page

SECTION = page("docs/deploy.md").section("When something is wrong").text.partition("\n### From Weaviate")[0]
MESSAGES = re.findall(r"^\| `([^`]+)` \|", SECTION, re.MULTILINE)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_the_page_explains_is_one_of_the_code(message: str) -> None:
    pattern = re.compile(".*".join(re.escape(part) for part in message.split("...")), re.DOTALL)
    assert any(pattern.search(text) for text in read_messages())


def test_the_page_explains_many() -> None:
    assert len(MESSAGES) >= 15


@cache
def read_messages() -> tuple[str, ...]:
    """Every string of the code, with `...` in the place of what is formatted into it."""
    files = [file for package in ("clip_vectorizer", "ingest") for file in (REPOSITORY / package).rglob("*.py")]
    return tuple(text for file in files for text in read_strings(ast.parse(file.read_text("utf-8"))))


def read_strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
