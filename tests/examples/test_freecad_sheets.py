"""Pages on sheets of FreeCAD: made of templates that the test writes, never of fetched ones."""

import json
from pathlib import Path
from random import Random

import pypdfium2
import pytest
from click.testing import CliRunner

from examples.drawings import freecad_sheets
from examples.drawings.templates import fill_texts, parse_length, read_template

pytest.importorskip("resvg_py")

SVG = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:freecad="http://www.freecadweb.org/wiki/index.php?title=Svg_Namespace"
  width="{width}mm" height="{height}mm" viewBox="0 0 {width} {height}">
  <g style="fill:none;stroke:#000000;stroke-width:0.7">
  <rect x="10" y="10" width="{inner_width}" height="{inner_height}"/>
  <rect x="{left}" y="{top}" width="90" height="40"/></g>
  <g style="font-size:5px;font-family:osifont"><text x="{left}" y="{base}">Title:</text>
  <text freecad:editable="FC-Date" x="{left}" y="{base}"><tspan>DD/MM/YYYY</tspan></text>
  <text freecad:editable="DRAWING_TITLE" x="{left}" y="{base}"><tspan>DRAWING TITLE</tspan></text>
  <text freecad:editable="EMPTY" x="{left}" y="{base}"><tspan></tspan></text></g>
</svg>"""


def write_svg(file: Path, width: int, height: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    left, top = width - 100, height - 50
    sizes = {"inner_width": width - 20, "inner_height": height - 20, "left": left, "top": top, "base": top + 20}
    file.write_text(SVG.format(width=width, height=height, **sizes))


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "templates"
    write_svg(folder / "A4.svg", 297, 210)
    write_svg(folder / "deep" / "A3.svg", 420, 297)
    (folder / "broken.svg").write_text("<svg")
    rows = "".join(
        f"{path}\t-\t{name}\n" for path, name in (("A4.svg", "One"), ("deep/A3.svg", "Two B"), ("broken.svg", "One"))
    )
    (tmp_path / "list.tsv").write_text("path\tsha256\tdesign\n" + rows)
    monkeypatch.setattr(freecad_sheets, "SHEETS", tmp_path / "list.tsv")
    return folder


def make(out: Path, templates: Path) -> list[dict[str, object]]:
    done = CliRunner().invoke(freecad_sheets.main, [str(out), "--templates", str(templates), "--pages", "20"])
    assert done.exit_code == 3
    assert done.stdout == "2 of 3 templates of 2 designs, 20 pages\n"
    assert "left out: broken.svg: " in done.stderr
    return [json.loads(line) for line in (out / "pages.jsonl").read_text().splitlines()]


def test_the_list_has_designs_and_each_template_once() -> None:
    listed = freecad_sheets.read_list()
    assert len({file.name for file, _ in listed}) == len(listed) == 65
    assert len({design for _, design in listed}) == 9
    assert all(len(file.sha256) == 64 and file.path.endswith(".svg") for file, _ in listed)


def test_half_are_drawings_half_are_scans_and_bytes_repeat(templates: Path, tmp_path: Path) -> None:
    pages = make(tmp_path / "out", templates)
    drawings = [page for page in pages if page["kind"] == "drawing"]
    assert len(drawings) == 10 and {page["organisation"] for page in drawings} == {"One", "Two B"}
    assert {page["column"] for page in pages} == {"FreeCAD templates"} and {page["split"] for page in pages} == {"test"}
    assert 4 <= sum(bool(page["scan"]) for page in pages) <= 16
    again = make(tmp_path / "again", templates)
    assert again == pages
    for name in {str(page["path"]) for page in pages}:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        with pypdfium2.PdfDocument(tmp_path / "out" / name) as pdf:
            assert len(pdf) == sum(page["path"] == name for page in pages)


def test_the_frame_and_the_block_are_found(templates: Path) -> None:
    template = read_template(templates / "A4.svg")
    assert (template.sheet.width, template.sheet.height) == (297, 210)
    for found, wanted in ((template.inside, (10, 10, 287, 200)), (template.block, (197, 10, 287, 50))):
        edges = (found.x0, found.y0, found.x1, found.y1)
        assert all(abs(a - b) < 1.5 for a, b in zip(edges, wanted, strict=True)), edges


def test_only_editable_texts_that_say_something_change() -> None:
    svg = SVG.format(width=9, height=9, inner_width=1, inner_height=1, left=1, top=1, base=1)
    filled = fill_texts(svg, Random(1))
    assert "Title:" in filled and "DRAWING TITLE" not in filled and "DD/MM" not in filled
    assert filled == fill_texts(svg, Random(1)) != fill_texts(svg, Random(2))


def test_a_size_without_meaning_is_an_error() -> None:
    assert parse_length("420") == 420
    with pytest.raises(ValueError, match="'100%' of the sheet"):
        parse_length("100%")
