"""Which pages a corpus has, and which file each is in: kinds, families, organisations, splits, scans.

Half of the pages are drawings of parts. The test pages are in two columns of equal size: those of the same families as
in training, by other organisations, and those of other families. Half of the pages, by whole files, become scans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from examples.drawings.charts import CHARTS, CHARTS_APART
from examples.drawings.documents import (
    EMPTIES,
    FORMS,
    FORMS_APART,
    TABLES,
    TABLES_APART,
    TEXTS,
    TEXTS_APART,
    PageDrawer,
)
from examples.drawings.maps import MAPS, MAPS_APART
from examples.drawings.organisations import Organisation, list_organisations
from examples.drawings.part_drawings import FAMILIES, FAMILIES_APART
from examples.drawings.photographs import PHOTOGRAPHS, PHOTOGRAPHS_APART
from examples.drawings.schematics import SCHEMATICS, SCHEMATICS_APART

DRAWING = "drawing"
KINDS = (DRAWING, "schematic", "chart", "table", "text", "photograph", "form", "map", "empty")
SHARES = {"schematic": 7, "chart": 8, "table": 7, "text": 9, "photograph": 6, "form": 5, "map": 5, "empty": 3}  # of 50
DRAWERS: Mapping[str, Mapping[str, PageDrawer]] = {
    "schematic": SCHEMATICS,
    "chart": CHARTS,
    "table": TABLES,
    "text": TEXTS,
    "photograph": PHOTOGRAPHS,
    "form": FORMS,
    "map": MAPS,
    "empty": EMPTIES,
}
DRAWERS_APART: Mapping[str, Mapping[str, PageDrawer]] = {
    "schematic": SCHEMATICS_APART,
    "chart": CHARTS_APART,
    "table": TABLES_APART,
    "text": TEXTS_APART,
    "photograph": PHOTOGRAPHS_APART,
    "form": FORMS_APART,
    "map": MAPS_APART,
    "empty": EMPTIES,
}
SAME, OTHER = "same generator", "other families"
TRAIN, TEST = "train", "test"
SOURCES = ("archive", "manuals", "reports", "office", "library", "catalogues")  # of files without drawings
MOST_PAGES = 12  # of a file
MIXED_SHARE = 0.45  # of the pages that are no drawings are in files of organisations, between drawings
FRAMED_SHARE = 0.5  # of schematics and plans in such files have the organisation's frame and title block
FRAMED_FAMILIES = ("circuit", "piping", "block diagram", "floor plan")


@dataclass(frozen=True, slots=True)
class PlannedPage:
    kind: str
    family: str
    framed: bool  # with the frame and the title block of the file's organisation


@dataclass(frozen=True, slots=True)
class PlannedFile:
    name: str  # relative to the corpus
    split: str
    column: str
    organisation: Organisation | None
    scan: bool
    pages: tuple[PlannedPage, ...]


def plan_corpus(pages: int, test_share: float, seed: int) -> list[PlannedFile]:
    """The files of a corpus of exactly `pages` pages, in the order of their names in each split."""
    rng = Random(f"plan {seed}")
    tested = round(pages * test_share)
    groups = ((TRAIN, SAME, pages - tested), (TEST, SAME, tested - tested // 2), (TEST, OTHER, tested // 2))
    counts: dict[str, int] = {}
    files: list[PlannedFile] = []
    for split, column, number in groups:
        for owner, content in fill_files(number, split, column, rng):
            name = owner.slug if isinstance(owner, Organisation) else owner
            counts[f"{split}/{name}"] = counts.get(f"{split}/{name}", 0) + 1
            path = f"{split}/{name}-{counts[f'{split}/{name}']:03}.pdf"
            organisation = owner if isinstance(owner, Organisation) else None
            files.append(PlannedFile(path, split, column, organisation, False, content))
    return choose_scans(files, rng)


def fill_files(
    pages: int, split: str, column: str, rng: Random
) -> list[tuple[Organisation | str, tuple[PlannedPage, ...]]]:
    """The pages of a group, in files of organisations and of other sources."""
    drawings = [PlannedPage(DRAWING, family, True) for family in deal(list_families(column), pages - pages // 2, rng)]
    others = list_others(pages // 2, column, rng)
    mixed, apart = others[: round(len(others) * MIXED_SHARE)], others[round(len(others) * MIXED_SHARE) :]
    mixed = [PlannedPage(each.kind, each.family, is_framed(each.family, rng)) for each in mixed]
    content = drawings + mixed
    rng.shuffle(content)
    owners = [each for each in list_organisations() if each.in_test == (split == TEST)]
    files: list[tuple[Organisation | str, tuple[PlannedPage, ...]]] = []
    for number, owner in enumerate(rng.sample(owners, len(owners))):
        files += [(owner, each) for each in cut(content[number :: len(owners)], rng)]
    return [*files, *((rng.choice(SOURCES), each) for each in cut(apart, rng))]


def list_families(column: str) -> Sequence[str]:
    return list(FAMILIES if column == SAME else FAMILIES_APART)


def list_others(pages: int, column: str, rng: Random) -> list[PlannedPage]:
    """Pages that are no drawings, by the shares of their kinds, in a random order."""
    kinds = deal([kind for kind, share in SHARES.items() for _ in range(share)], pages, rng)
    drawers = DRAWERS if column == SAME else DRAWERS_APART
    return [PlannedPage(kind, rng.choice(list(drawers[kind])), False) for kind in kinds]


def deal(deck: Sequence[str], number: int, rng: Random) -> list[str]:
    """`number` cards of decks that are shuffled one after the other: each card as often as its share."""
    cards: list[str] = []
    while len(cards) < number:
        cards += rng.sample(deck, len(deck))
    return cards[:number]


def is_framed(family: str, rng: Random) -> bool:
    return family in FRAMED_FAMILIES and rng.random() < FRAMED_SHARE


def cut(pages: Sequence[PlannedPage], rng: Random) -> list[tuple[PlannedPage, ...]]:
    """Files of 1 to MOST_PAGES pages."""
    files: list[tuple[PlannedPage, ...]] = []
    start = 0
    while start < len(pages):
        length = rng.randint(1, MOST_PAGES)
        files.append(tuple(pages[start : start + length]))
        start += length
    return files


def choose_scans(files: Sequence[PlannedFile], rng: Random) -> list[PlannedFile]:
    """Whole files, so that about half of the pages of each group and each kind of owner are scans."""
    balance: dict[tuple[str, str, bool], int] = {}
    chosen: list[PlannedFile] = []
    for file in rng.sample(files, len(files)):
        key = (file.split, file.column, file.organisation is None)
        ahead = balance.get(key, 0)  # scanned pages less the others
        scan = ahead < 0 or (ahead == 0 and rng.random() < 0.5)
        balance[key] = ahead + (len(file.pages) if scan else -len(file.pages))
        chosen.append(PlannedFile(file.name, file.split, file.column, file.organisation, scan, file.pages))
    return sorted(chosen, key=lambda each: each.name)
