"""Source code in lines of a width, as a formatter would break them."""

from collections.abc import Sequence
from dataclasses import dataclass

INDENT = "    "
WIDTH = 80


@dataclass(frozen=True, slots=True)
class Tree:
    """`before` + items with commas between + `after`: a call, a list, an object."""

    before: str
    items: Sequence["Node"]
    after: str


Node = str | Tree


def laid_out(node: Node, width: int = WIDTH, indent: str = "", ending: str = "") -> str:
    """On one line where that fits, else an item a line, each of them laid out the same way."""
    line = indent + flat(node) + ending
    if isinstance(node, str) or len(line) <= width or not node.items:
        return line
    items = [laid_out(item, width, indent + INDENT, ",") for item in node.items]
    return "\n".join([indent + node.before.rstrip(), *items, indent + node.after.lstrip() + ending])


def flat(node: Node) -> str:
    return node if isinstance(node, str) else node.before + ", ".join(flat(item) for item in node.items) + node.after


def with_name(name: str, node: Node) -> Node:
    """`name` before a node: `limit=`, `limit: `."""
    return name + node if isinstance(node, str) else Tree(name + node.before, node.items, node.after)
