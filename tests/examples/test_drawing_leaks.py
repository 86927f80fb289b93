"""The leak test of the drawings' corpus: what it finds in scans, and that it does find a leak where there is one."""

from dataclasses import replace

import numpy as np

from examples.drawings.leaks import FACTS, measure_leaks, read_facts, score_leaks
from tests.examples.conftest import MadeCorpus

MOST_ACCURACY = 0.6  # balanced; 80 pages of 26 files are few: docs/drawings.md has the figures of 1,200 pages


def test_the_paper_of_scans_does_not_give_drawings_away(corpus: MadeCorpus) -> None:
    scans, others = measure_leaks(corpus.folder, corpus.lines)
    assert scans.pages + others.pages == len(corpus.lines)
    assert scans.linear < MOST_ACCURACY
    assert others.linear > MOST_ACCURACY  # path segments do, where there are any
    assert f"scans   {scans.pages:6}{scans.linear:10.3f}" in corpus.output


def test_scans_have_no_segments_and_the_dpi_of_their_line(corpus: MadeCorpus) -> None:
    lines = [line for line in corpus.lines if line.scan]
    facts = read_facts(corpus.folder, lines)
    assert not facts[:, FACTS.index("path segments")].any()
    found = facts[:, FACTS.index("dpi")]
    assert all(line.dpi and abs(dpi - line.dpi) <= 1 for dpi, line in zip(found, lines, strict=True))


def test_a_leak_by_the_size_of_pages_is_found(corpus: MadeCorpus) -> None:
    lines = [line for line in corpus.lines if line.scan]
    widths = read_facts(corpus.folder, lines)[:, FACTS.index("page width")]
    planted = [
        replace(line, kind="drawing" if width > np.median(widths) else "text")
        for line, width in zip(lines, widths, strict=True)
    ]
    assert score_leaks("scans", corpus.folder, planted).linear > 0.9
