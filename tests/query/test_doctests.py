"""The examples in the docstrings of clip_vectorizer.query that need no server."""

import doctest
import importlib
import pkgutil

import pytest

import clip_vectorizer.query

MODULES = [each.name for each in pkgutil.walk_packages(clip_vectorizer.query.__path__, "clip_vectorizer.query.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_show(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(tests) >= 8
