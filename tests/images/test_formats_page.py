"""docs/formats.md is what `python -m benchmarks.formats` writes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.formats import PAGE, PEERS, describe_ours, describe_peer, read_peers, render_page
from benchmarks.plain_pillow import describe, open_as_rclip, open_as_weaviate
from tests.images.case import CorpusCase
from tests.images.corpus import all_cases


def find_case(name: str) -> CorpusCase:
    return next(case for case in all_cases() if case.name == name)


def test_the_page_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.splitlines() == render_page(read_peers(page)).splitlines(), "run `python -m benchmarks.formats`"


def test_the_peers_were_measured_for_every_file() -> None:
    cells = read_peers(PAGE.read_text(encoding="utf-8"))
    for peer in PEERS:
        assert set(cells[peer.name]) == {case.name for case in all_cases()}
        others = {name: cell for name, cell in cells[peer.name].items() if cell not in ("opened", "refused")}
        assert all(cell.startswith("other pixels, ") for cell in others.values()), others


def test_nothing_is_taken_with_the_wrong_pixels() -> None:
    assert "other pixels" not in {describe_ours(case).partition(",")[0] for case in all_cases()}


def test_a_file_that_the_page_lacks_is_not_measured() -> None:
    cells = read_peers("| `jpeg-plain.jpg` | JPEG | opened | refused | opened | opened |\n")
    assert cells[PEERS[0].name]["jpeg-plain.jpg"] == "refused"
    assert cells[PEERS[1].name]["jpeg-plain.jpg"] == "opened"
    assert cells[PEERS[0].name]["jpeg-p3.jpg"] == "not measured"


@pytest.mark.parametrize(
    ("name", "rclip", "weaviate"),
    [
        ("jpeg-plain.jpg", "opened", "opened"),
        ("jpeg-prophoto.jpg", "other pixels, 28", "other pixels, 28"),
        ("avif-plain.avif", "refused", "opened"),
        ("cut-20-bytes.jpg", "opened", "refused"),
        ("words.jpg", "refused", "refused"),
    ],
)
def test_the_peers_ways_of_opening(
    name: str, rclip: str, weaviate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = find_case(name)
    (tmp_path / name).write_bytes(case.data)
    assert describe_peer(case, describe(open_as_weaviate, tmp_path / name)) == weaviate
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    assert describe_peer(case, describe(open_as_rclip, tmp_path / name)) == rclip


def test_our_cell_shows_wrong_pixels() -> None:
    case = find_case("jpeg-plain.jpg")
    assert case.truth is not None
    assert describe_ours(case) == "opened"
    assert describe_ours(replace(case, truth=255 - case.truth)).startswith("other pixels, ")
    assert describe_ours(replace(case, truth=np.zeros((1, 1, 3), np.uint8))) == "other pixels, 255"
