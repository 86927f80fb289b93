"""Fetches PDF files of two public repositories: technical drawings among pages of papers, forms and figures.

    python examples/drawings/real_pdfs.py /tmp/real

`real_pdfs.tsv` has the files with their commits and hashes; nothing of them is part of this project. Which pages are
drawings was decided by eye. The actuator hardware of the Open Dynamic Robot Initiative is under BSD-3-Clause, Docling's
test files are in a repository under MIT. `pages.jsonl` is as that of the corpus, with the column "real PDFs".
"""

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from examples.drawings.listed_files import HOST, ListedFile, fetch

LIST = Path(__file__).with_name("real_pdfs.tsv")
COLUMN = "real PDFs"
DRAWER = "Open Dynamic Robot Initiative"  # whose text block is at the lower right of some drawings


@dataclass(frozen=True, slots=True)
class RealFile:
    """A line of the list."""

    repository: str
    commit: str
    path: str
    sha256: str
    pages: int
    drawings: frozenset[int]  # pages, from 1
    same_block: frozenset[int]  # drawings with the organisation's block at the lower right

    @property
    def name(self) -> str:
        """The path within the output."""
        return f"{self.repository.partition('/')[2]}/{self.path.replace('/', '_').replace(' ', '_')}"

    @property
    def listed(self) -> ListedFile:
        return ListedFile(self.repository, self.commit, self.path, self.sha256, self.name)

    def describe_pages(self) -> Iterator[dict[str, object]]:
        for page in range(1, self.pages + 1):
            yield {
                "path": self.name,
                "page": page,
                "kind": "drawing" if page in self.drawings else None,
                "organisation": DRAWER if page in self.same_block else None,
                "family": None,
                "split": "test",
                "column": COLUMN,
            }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--clones",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with a git repository OWNER+NAME/repo for each, to read instead of the network.",
)
def main(out: Path, clones: Path | None) -> None:
    """Fetch the files into OUT, check their hashes and write OUT/pages.jsonl. What is there already is not fetched.

    A file that cannot be had is named and left out; the exit code is then 3.

    \b
    Example:
      python examples/drawings/real_pdfs.py /tmp/real
    """
    files = read_list()
    fetched = [
        each for number, each in enumerate(files, 1) if fetch(each.listed, out, clones, f"{number} of {len(files)}")
    ]
    if not fetched:
        raise click.ClickException(f"no file could be fetched; {HOST} cannot be reached, or --clones has no repository")
    lines = [json.dumps(page) for file in fetched for page in file.describe_pages()]
    (out / "pages.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    click.echo(f"{len(fetched)} of {len(files)} files, {len(lines)} pages")
    sys.exit(0 if len(fetched) == len(files) else 3)


def read_list() -> list[RealFile]:
    with LIST.open(encoding="utf-8", newline="") as stream:
        return [
            RealFile(
                row["repository"],
                row["commit"],
                row["path"],
                row["sha256"],
                int(row["pages"]),
                parse_pages(row["drawings"]),
                parse_pages(row["same block"]),
            )
            for row in csv.DictReader(stream, delimiter="\t")
        ]


def parse_pages(text: str) -> frozenset[int]:
    """Return the pages of a list.

    >>> sorted(parse_pages("1,3")), sorted(parse_pages(""))
    ([1, 3], [])
    """
    return frozenset(map(int, filter(None, text.split(","))))


if __name__ == "__main__":
    main()
