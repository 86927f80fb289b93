"""The import graph, built from the source: no circles, and every import follows the arrow of ARCHITECTURE.md.

Late imports and those under TYPE_CHECKING count too: a circle that is hidden in a function is still one to a reader.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("clip_vectorizer", "ingest")

# From the top of the arrow to its foot: a module imports from its own row and from the rows below it. The longest
# prefix decides, so one file of a package may stand in another row than its package.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("clip_vectorizer.entry_points", "clip_vectorizer.__main__", "clip_vectorizer.gallery.__main__", "ingest.__main__"),
    (
        *(
            "clip_vectorizer.cli",
            "clip_vectorizer.models_cli",
            "clip_vectorizer.serve_cli",
            "clip_vectorizer.simclr_cli",
            "clip_vectorizer.train_cli",
        ),
        *("clip_vectorizer.query.cli", "clip_vectorizer.gallery"),
        *("ingest.cli", "ingest.backup_cli", "ingest.demo"),
    ),
    ("ingest.command", "ingest.backup_command", "ingest.beacon", "ingest.job", "ingest.distributed", "ingest.embedded"),
    ("ingest", "clip_vectorizer.query.evaluation", "clip_vectorizer.server.serve", "clip_vectorizer.server.workers"),
    ("ingest.sources", "ingest.store", "clip_vectorizer.query", "clip_vectorizer.server", "clip_vectorizer.training"),
    (
        "clip_vectorizer.query.zeroshot",
        "clip_vectorizer.query.adapt",
        "clip_vectorizer.query.captions",
        "clip_vectorizer.query.explain",
        "clip_vectorizer.query.grounding",
    ),
    ("clip_vectorizer.query.connect", "clip_vectorizer.query.object_updates"),
    ("clip_vectorizer.query.search", "clip_vectorizer.query.labels"),
    ("clip_vectorizer.query.filters", "clip_vectorizer.query.image_inputs", "clip_vectorizer.query.prompts"),
    ("clip_vectorizer.query.hits", "clip_vectorizer.query.display"),
    ("ingest.coco", "ingest.items", "ingest.page_pixels", "ingest.retry", "ingest.choices"),
    (
        "clip_vectorizer.models",
        "clip_vectorizer.images",
        "clip_vectorizer.tables",
        "clip_vectorizer.database",
        "clip_vectorizer.client",
        "clip_vectorizer.common_options",
        "clip_vectorizer.query.evaluation.statistics",
    ),
    (
        *("clip_vectorizer", "clip_vectorizer.models.encoder", "clip_vectorizer.models.grounding.grounder"),
        "clip_vectorizer.models.captioning.captioner",
        "clip_vectorizer.query.choices",
    ),
)

# What must not be imported, however far down the arrow it stands.
NEVER: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("clip_vectorizer", ("ingest",), "the library knows nothing of the ingest"),
    ("clip_vectorizer.query", ("clip_vectorizer.server", "clip_vectorizer.models", "torch"), "query speaks HTTP"),
    ("ingest", ("clip_vectorizer.server", "clip_vectorizer.models", "torch"), "ingest speaks HTTP"),
    ("clip_vectorizer.database", ("click", "clip_vectorizer.query"), "a library of its own"),
    (
        "clip_vectorizer.query.search",
        ("clip_vectorizer.query.explain", "clip_vectorizer.query.zeroshot", "click"),
        "the foot",
    ),
    (
        "clip_vectorizer.gallery",
        ("clip_vectorizer.server", "clip_vectorizer.models", "clip_vectorizer.database"),
        "query only",
    ),
)


@cache
def graph() -> Mapping[str, frozenset[str]]:
    """Each module of the project with the modules and names that it imports, as dotted names."""
    files = [file for room in ROOMS for file in sorted((REPOSITORY / room).rglob("*.py"))]
    return {module_name(file): frozenset(imported(ast.parse(file.read_text()))) for file in files}


def module_name(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def edges() -> Mapping[str, frozenset[str]]:
    """Each module of the project with those of the project that it imports."""
    modules = graph()
    return {
        name: frozenset({home for target in targets if (home := home_of(target, modules)) and home != name})
        for name, targets in modules.items()
    }


def home_of(target: str, modules: Iterable[str]) -> str | None:
    """The module that `target` is, or that it is a name in; None outside of the project."""
    if target in modules:
        return target
    parent = target.rpartition(".")[0]
    return parent if parent in modules else None


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in arrows.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = [stack.pop()]
            while component[-1] != node:
                component.append(stack.pop())
            if len(component) > 1:
                found.append(sorted(component))

    for node in arrows:
        if node not in index:
            visit(node)
    return found


def folder_arrows(parent: str) -> dict[str, set[str]]:
    """Imports between the packages that stand side by side in `parent`."""
    arrows: dict[str, set[str]] = {}
    packages = {name for name in graph() if any(other.startswith(f"{name}.") for other in graph())}
    for name, targets in edges().items():
        for target in targets:
            a, b = child_of(parent, name), child_of(parent, target)
            if a and b and a != b and a in packages and b in packages:
                arrows.setdefault(a, set()).add(b)
                arrows.setdefault(b, set())
    return arrows


def child_of(parent: str, name: str) -> str | None:
    prefix = f"{parent}." if parent else ""
    return prefix + name[len(prefix) :].split(".")[0] if name.startswith(prefix) and name != parent else None


def layer(module: str) -> int:
    places = [(len(prefix), row) for row, layer in enumerate(LAYERS) for prefix in layer if is_inside(module, prefix)]
    return max(places)[1]


def is_inside(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def upward(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    return sorted(f"{a} imports {b}" for a, targets in arrows.items() for b in targets if layer(b) < layer(a))


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles(edges()) == []


def test_no_folders_import_each_other_in_a_circle() -> None:
    parents = {""} | {name.rpartition(".")[0] for name in graph()}
    assert {parent: found for parent in sorted(parents) if (found := circles(folder_arrows(parent)))} == {}


def test_every_import_follows_the_arrow() -> None:
    assert upward(edges()) == []


@pytest.mark.parametrize(("package", "banned", "reason"), NEVER, ids=[package for package, _, _ in NEVER])
def test_some_imports_never_happen(package: str, banned: tuple[str, ...], reason: str) -> None:
    # What a sidecar says of its model, without torch; the names of stored properties.
    contracts = ("clip_vectorizer.models.encoder", "clip_vectorizer.database.schema")
    found = [
        f"{name} imports {target}"
        for name, targets in graph().items()
        if is_inside(name, package)
        for target in targets
        if any(is_inside(target, each) for each in banned) and not any(is_inside(target, each) for each in contracts)
    ]
    assert sorted(found) == [], reason


def test_a_circle_and_an_import_against_the_arrow_are_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]
    assert upward({"clip_vectorizer.errors": ["clip_vectorizer.query.search.calls"]}) == [
        "clip_vectorizer.errors imports clip_vectorizer.query.search.calls"
    ]
    assert upward({"clip_vectorizer.query.search.calls": ["clip_vectorizer.errors"]}) == []
