"""The pages of the documentation as the tests read them: sections, code blocks, commands, tables, links."""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
DOCS = sorted(f"docs/{file.name}" for file in (REPOSITORY / "docs").glob("*.md"))
WITH_COMMANDS = ["README.md", "CONTRIBUTING.md", *DOCS, "docker/README.md"]
PAGES = [*WITH_COMMANDS, "ARCHITECTURE.md", "CHANGELOG.md", "deploy/helm/clip-vectorizer/README.md"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RELEASES_BY_NAME = ("helm", "kubectl")  # a release may have the name of one of our commands
OUR_COMMAND = re.compile(r"(?:^|[ (])(clip-[a-z]+)(?=\s|$)")
CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown file, or one section of it."""

    name: str
    text: str

    def section(self, heading: str) -> "Page":
        """From `## heading` to the next heading of that level. Raises ValueError when the page has none."""
        _, found, rest = self.text.partition(f"\n## {heading}\n")
        if not found:
            raise ValueError(f"{self.name} has no section {heading!r}")
        return Page(f"{self.name}#{heading}", rest.partition("\n## ")[0])

    def blocks(self, language: str) -> list[str]:
        """The text of every code block in that language, in order."""
        return [text for found, text in BLOCK.findall(self.text) if found == language]

    @property
    def languages(self) -> set[str]:
        """Of the code blocks; an empty name for a block that names none."""
        return {found for found, _ in BLOCK.findall(self.text)}

    def commands(self, *programs: str) -> list[str]:
        """The lines of all `sh` blocks without their comments; only those that run one of `programs`, if any."""
        lines = [line.partition("  #")[0].strip() for block in self.blocks("sh") for line in block.splitlines()]
        return [line for line in lines if line and (not programs or program(line) in programs)]

    def table(self, first: str) -> list[list[str]]:
        """The cells of the table whose head begins with the cell `first`, without its head."""
        lines = self.text.partition(f"\n| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
        return [[cell.strip() for cell in CELL_BORDER.split(line)[1:-1]] for line in lines]

    @property
    def links(self) -> list[str]:
        """The targets of its links and pictures, except those on the web."""
        targets = re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", self.text))
        return [target for target in targets if "://" not in target]

    @property
    def code_spans(self) -> list[str]:
        return re.findall(r"`([^`\n]+)`", BLOCK.sub("", self.text))

    @property
    def anchors(self) -> set[str]:
        """Its headings, as GitHub makes them the targets of links."""
        headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", self.text), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def page(name: str) -> Page:
    """A page by its path in the repository."""
    return Page(name, (REPOSITORY / name).read_text(encoding="utf-8"))


def program(line: str) -> str:
    """The command of ours in a line, also behind a pipe or a variable; else its first word."""
    first = line.split()[0]
    found = None if first in RELEASES_BY_NAME else OUR_COMMAND.search(line)
    return found[1] if found else first
