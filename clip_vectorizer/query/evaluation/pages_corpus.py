"""Pages of a corpus: the lines of its `pages.jsonl`, which examples/drawings/make_corpus.py writes.

A corpus of your own needs the same file: a line for each page, with the fields of PageRecord. A folder that has test
pages alone, as examples/drawings/real_pdfs.py and freecad_sheets.py make it, is measured beside a corpus.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.statistics import SEED

PAGES_FILE = "pages.jsonl"
TRAIN, TEST = "train", "test"
DRAWING = "drawing"
LEAST_PAGES = 10  # of drawings and of others, to learn from


@dataclass(frozen=True, slots=True)
class PageRecord:
    """One page: where it is, and what is known of it."""

    path: str  # of the PDF file, relative to the corpus
    page: int  # from 1
    kind: str | None  # None: not known, and no drawing
    organisation: str | None  # whose title block is on the page
    family: str | None
    split: str
    column: str  # of the results

    @property
    def name(self) -> str:
        return f"{self.path}#page={self.page}"


def read_corpus(corpus: Path, limit: int | None = None) -> list[PageRecord]:
    """Return the pages; with `limit` at most so many of each split and column, by whole files, the same at each call.

    Raises InputError for a folder without pages.jsonl, a line that lacks a field, or too few pages to learn from.
    """
    records = read_lines(corpus / PAGES_FILE)
    for split in (TRAIN, TEST):
        counts = [
            sum((each.kind == DRAWING) == drawing for each in records if each.split == split)
            for drawing in (False, True)
        ]
        if min(counts) < LEAST_PAGES:
            raise InputError(
                f"{corpus / PAGES_FILE} has {counts[1]} drawings and {counts[0]} other pages of the split {split}; "
                f"at least {LEAST_PAGES} of each are needed"
            )
    return records if limit is None else pick_files(records, limit)


def read_tests(folder: Path, limit: int | None = None) -> list[PageRecord]:
    """Return the test pages of a folder that is measured beside a corpus. Raises InputError for one without any."""
    records = [each for each in read_lines(folder / PAGES_FILE) if each.split == TEST]
    if not any(each.kind == DRAWING for each in records) or all(each.kind == DRAWING for each in records):
        raise InputError(f"{folder / PAGES_FILE} needs drawings and other pages of the split {TEST}")
    return records if limit is None else pick_files(records, limit)


def read_lines(file: Path) -> list[PageRecord]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file} cannot be read ({error}); a corpus is a folder with {PAGES_FILE}, as "
            "examples/drawings/make_corpus.py writes it"
        ) from error
    return [read_record(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def read_record(line: str, place: str) -> PageRecord:
    """Raises InputError."""
    try:
        row: Mapping[str, Any] = json.loads(line)
        fields = {name: row[name] for name in PageRecord.__slots__}
        record = PageRecord(**fields)
        texts = (record.path, record.kind or "", record.family or "", record.split, record.column)
        if not all(isinstance(each, str) for each in texts) or type(record.page) is not int or record.page < 1:
            raise TypeError("a field has another type")
    except (ValueError, KeyError, TypeError) as error:
        names = ", ".join(PageRecord.__slots__)
        raise InputError(f"{place} is no page ({error}); it needs a JSON object with {names}") from error
    if Path(record.path).is_absolute() or ".." in Path(record.path).parts:
        raise InputError(f"{place}: {record.path} is not below the corpus")
    return record


def pick_files(records: Sequence[PageRecord], limit: int) -> list[PageRecord]:
    """Return pages of whole files drawn at random with a fixed seed, at most `limit` of each split and column.

    A file that would go beyond the limit is left out, and smaller ones after it are taken. Raises InputError if no file
    is small enough.
    """
    paths = sorted({each.path for each in records})
    places = {paths[index]: place for place, index in enumerate(np.random.default_rng(SEED).permutation(len(paths)))}
    files: dict[tuple[str, str, str], list[PageRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda each: (places[each.path], each.page)):
        files[record.split, record.column, record.path].append(record)
    taken = {(split, column): 0 for split, column, _ in files}
    kept: list[PageRecord] = []
    for (split, column, _), pages in files.items():
        if taken[split, column] + len(pages) <= limit:
            taken[split, column] += len(pages)
            kept += pages
    for (split, column), count in taken.items():
        if not count:
            raise InputError(f"--limit {limit} is less than the pages of each file of {split}, {column}")
    return kept
