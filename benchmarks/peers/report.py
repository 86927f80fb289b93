"""The results as figures, and as the tables of docs/performance.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.common import Figure, Spread, format_number, side_by_side
from benchmarks.limits import format_line
from benchmarks.peers.catalog import PACKAGES
from benchmarks.peers.rounds import LOADS, SideResult
from benchmarks.peers.starters import OWN

LEAD = ">= 1"
PEERS_PRECISION = "fp32"


@dataclass(frozen=True, slots=True)
class IndexResult:
    """A command over a folder, beside `clip-ingest` with the same weights. One value a round."""

    name: str
    model: str
    precision: str  # of ours
    theirs: Sequence[float]  # images/s of the whole process
    ours: Sequence[float]
    cosine: float

    @property
    def figure(self) -> Figure:
        what = f"images/s, a folder, clip-ingest, {self.model}, {self.precision}"
        return side_by_side(what, "images/s", self.theirs, self.ours, self.name, LEAD)


def pair_with_own(results: Sequence[SideResult]) -> Iterator[tuple[SideResult, SideResult]]:
    """Yield ours in the precision of the peers with each peer; nothing where ours was not measured."""
    own = [each for each in results if each.name == OWN and each.precision == PEERS_PRECISION]
    yield from ((ours, peer) for ours in own for peer in results if peer.name != OWN)


def list_figures(results: Sequence[SideResult]) -> Iterator[Figure]:
    """Ours beside each peer under each load, and its memory."""
    for ours, peer in pair_with_own(results):
        against = f"{peer.name}, {peer.precision}"
        for load in LOADS:
            what = f"{load}, ours, {ours.precision}"
            yield side_by_side(what, "/s", peer.rates[load], ours.rates[load], against, LEAD)
        what = f"memory after the load, ours, {ours.precision}"
        yield side_by_side(what, "MB", [peer.megabytes], [ours.megabytes], against, "<= 1")


def list_losses(figures: Sequence[Figure]) -> list[str]:
    """A sentence for each rate in which a peer is ahead."""
    return [
        f"{figure.against} is ahead: {figure.what}, {figure.theirs} against {figure.ours}, ratio {figure.ratio}"
        for figure in figures
        if figure.ratio and figure.target == LEAD and figure.ratio.median < 1
    ]


def format_rates(results: Sequence[SideResult]) -> Iterator[str]:
    """One line a side: medians, memory, and the least cosine to open_clip's vectors."""
    yield format_line(["who", "precision", *map(str, LOADS), "MB", "cosine"])
    yield format_line(["---"] * (len(LOADS) + 4))
    for each in results:
        rates = [format_number(Spread.of(each.rates[load]).median) for load in LOADS]
        yield format_line([each.name, each.precision, *rates, f"{each.megabytes:.0f}", f"{each.cosine:.5f}"])


def format_ratios(results: Sequence[SideResult]) -> Iterator[str]:
    """One line a peer: ours / theirs, of rates with the spread of the rounds and of memory."""
    yield format_line([f"ours, {PEERS_PRECISION}, against", *map(str, LOADS), "MB"])
    yield format_line(["---"] * (len(LOADS) + 2))
    for ours, peer in pair_with_own(results):
        ratios = [side_by_side("", "", peer.rates[load], ours.rates[load], "").ratio for load in LOADS]
        yield format_line([peer.name, *map(str, ratios), format_number(ours.megabytes / peer.megabytes)])


def format_folders(results: Sequence[IndexResult]) -> Iterator[str]:
    yield format_line(["command", "model", "images/s", "`clip-ingest`, images/s", "ratio", "cosine"])
    yield format_line(["---"] * 6)
    for each in results:
        figure = each.figure
        own = f"{figure.ours}, {each.precision}"
        yield format_line([each.name, each.model, str(figure.theirs), own, str(figure.ratio), f"{each.cosine:.5f}"])


def format_packages() -> Iterator[str]:
    """Versions and licences, and what else is pinned."""
    yield format_line(["peer", "version", "licence", "also pinned"])
    yield format_line(["---"] * 4)
    for package in PACKAGES:
        yield format_line([package.name, package.version, package.licence, ", ".join(package.requirements[1:]) or "-"])
