"""A report: pictures that can be opened, and one page that needs nothing else."""

import base64
import io
import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.plots import is_drawable, prepare_matplotlib, replace_undrawable
from clip_vectorizer.query.evaluation.report import write_report
from tests.query.evaluation.folders import each, labelled
from tests.query.evaluation.test_evaluate import evaluated


def test_the_page_contains_plots_tables_and_the_command(tmp_path: Path) -> None:
    (images := tmp_path / "<images>").mkdir()
    page = write_report(evaluated(labelled(images, each(2))), tmp_path / "out", "clip-eval '<images>' --report out")
    text = page.read_text(encoding="utf-8")
    assert page.name == "index.html"
    inlined = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert sorted(file.stem for file in page.parent.glob("*.png")) == [
        *("classes", "confusion", "few-shot", "recall", "zero-shot")
    ]
    for content in [*map(base64.b64decode, inlined), *(file.read_bytes() for file in page.parent.glob("*.png"))]:
        with Image.open(io.BytesIO(content)) as picture:
            assert min(picture.size) > 200
    assert len(inlined) == 5
    assert "clip-eval &#x27;&lt;images&gt;&#x27; --report out" in text
    assert "<images>" not in text
    assert "zh-photo-80" in text
    assert "http" not in re.sub(r'"data:[^"]*"', "", text)


def test_a_report_without_captions_has_no_recall_curves(tmp_path: Path) -> None:
    page = write_report(evaluated(labelled(tmp_path / "in", each(2), captions=False)), tmp_path / "out", "clip-eval in")
    assert not (page.parent / "recall.png").exists()


def test_text_without_glyphs_is_detected() -> None:
    assert is_drawable("crème · naïve")
    assert not is_drawable("红苹果")


def test_names_without_glyphs_are_replaced() -> None:
    assert replace_undrawable(["cat", "猫"], fonts={"DejaVu Sans"}) == ["cat", "class 2"]
    assert replace_undrawable(["cat", "猫"], fonts={"DejaVu Sans", "Noto Sans CJK SC"}) == ["cat", "猫"]


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python marks what cannot be imported
    with pytest.raises(InputError, match=r"clip-vectorizer\[eval\]"):
        prepare_matplotlib()
