"""A type's name is used once in the project, so a reader who searches for it finds one class."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def type_names(tree: ast.Module) -> Iterator[str]:
    """The classes and the type aliases of a module; a TypeVar is a letter of its own file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if is_type_name(name) and not is_type_variable(node.value):
                yield name


def is_type_name(name: str) -> bool:
    return name[:1].isupper() and not name.isupper()


def is_type_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") in ("TypeVar", "ParamSpec")


def repeated(sources: dict[str, str]) -> dict[str, list[str]]:
    homes: dict[str, list[str]] = defaultdict(list)
    for path, source in sources.items():
        for name in type_names(ast.parse(source)):
            homes[name].append(path)
    return {name: paths for name, paths in homes.items() if len(paths) > 1}


def test_no_type_name_is_used_twice() -> None:
    files = [file for room in ("clip_vectorizer", "ingest") for file in sorted((REPOSITORY / room).rglob("*.py"))]
    assert len(files) > 200
    assert repeated({str(file.relative_to(REPOSITORY)): file.read_text() for file in files}) == {}


def test_a_name_used_twice_is_found() -> None:
    sources = {"a.py": "class Row: ...\nT = TypeVar('T')", "b.py": "Row = list[int]\nLIMIT = 3\nT = TypeVar('T')"}
    assert repeated(sources) == {"Row": ["a.py", "b.py"]}
