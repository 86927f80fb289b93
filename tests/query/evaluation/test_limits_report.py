"""The report of the limits: pictures that can be opened, and one page that needs nothing else."""

import io
import re
from pathlib import Path

from PIL import Image

from clip_vectorizer.query.choices import COUNTING, DIGITS
from clip_vectorizer.query.evaluation.limits_report import write_limits_report
from tests.query.evaluation.squares import ConstantEncoder, RandomEncoder, SquareReader, measure_folder, squares

PLOTS = [
    *("counting", "counting-confusion", "counting-scenes", "differences", "look-alikes"),
    *("places", "places-scenes", "wording"),
]


def test_every_task_has_a_plot_and_the_page_has_all_tables(tmp_path: Path) -> None:
    tasks = ("counting", "places", "look-alikes", "wording")
    findings = measure_folder(squares(tmp_path / "in"), SquareReader(), tasks)
    page = write_limits_report(findings, tmp_path / "out", "clip-eval limits '<m>' in --report out")
    text = page.read_text(encoding="utf-8")
    assert sorted(file.stem for file in page.parent.glob("*.png")) == PLOTS
    for file in page.parent.glob("*.png"):
        with Image.open(io.BytesIO(file.read_bytes())) as picture:
            assert min(picture.size) > 150
    assert len(re.findall(r'src="data:image/png;base64,', text)) == len(PLOTS)
    assert all(table.title in text for table in findings.tables)
    assert "&#x27;&lt;m&gt;&#x27;" in text and "<m>" not in text
    assert "http" not in re.sub(r'"data:[^"]*"', "", text)


def test_digits_alone_have_no_scenes(tmp_path: Path) -> None:
    findings = measure_folder(None, ConstantEncoder(), (DIGITS,))
    page = write_limits_report(findings, tmp_path, "clip-eval limits emoji --task digits --report out")
    assert sorted(file.stem for file in page.parent.glob("*.png")) == ["differences", "digits"]
    assert "<dt>data</dt>" not in page.read_text(encoding="utf-8")


def test_counting_alone_has_its_confusion(tmp_path: Path) -> None:
    findings = measure_folder(squares(tmp_path / "in"), RandomEncoder(), (COUNTING,))
    page = write_limits_report(findings, tmp_path / "out", "clip-eval limits emoji in --task counting --report out")
    assert {file.stem for file in page.parent.glob("*.png")} == {
        "counting",
        "counting-confusion",
        "differences",
        "counting-scenes",
    }
