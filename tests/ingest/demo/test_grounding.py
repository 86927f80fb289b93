"""The grounding of the demo: what it prints, the picture that it writes, a sidecar that cannot ground."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from PIL import Image

from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.grounding.groundings import Grounding, PhraseBox, PictureGroundings
from clip_vectorizer.query.grounding.phrases import Phrase
from ingest.demo.grounding import show_grounding

BOX = PhraseBox((0.0, 0.0, 0.5, 1.0), (0.0, 0.0, 20.0, 30.0), 0.4, 0.9)


def found(path: str) -> PictureGroundings:
    cat, owl = Grounding(Phrase("cat", (2, 5)), (BOX,), 0.9), Grounding(Phrase("owl", (10, 13)), (), 0.1)
    return PictureGroundings(path, "a cat, an owl", (cat, owl), 0.5, (40, 30), stored=False)


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 30), "white").save("white.png")
    return Path("white.png")


def test_the_boxes_are_printed_and_drawn(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = SimpleNamespace(ground=lambda image, sentence, top: found(str(image)))
    show_grounding(cast(ImageSearch, search), picture, "a cat, an owl", tmp_path / "new" / "boxes.png")
    _, title, *rest = capsys.readouterr().out.splitlines()
    assert title.startswith("grounding: ") and title.endswith(" ms")
    assert [" ".join(line.split()) for line in rest] == [
        "$ clip-ground white.png 'a cat, an owl' --top 1",
        "phrase box (x0 y0 x1 y1 in pixels) probability",
        "cat 0 0 20 30 0.90",
        "owl not in the picture 0.10",
        "The picture with these boxes:",
        "new/boxes.png",
    ]
    with Image.open(tmp_path / "new" / "boxes.png") as drawn:
        colours = drawn.convert("RGB").getcolors(maxcolors=1 << 24) or []
        assert drawn.size == (640, 480) and len(colours) > 2  # the white picture with a box and its label


def test_a_sidecar_without_a_grounder_is_no_end_of_the_demo(
    picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(image: Path, sentence: str, top: int) -> PictureGroundings:
        raise SidecarRefused(501, "the sidecar has no grounder")

    show_grounding(cast(ImageSearch, SimpleNamespace(ground=refuse)), picture, "a cat", tmp_path / "boxes.png")
    assert capsys.readouterr().out.splitlines()[-1] == "left out: the sidecar has no grounder"
    assert not (tmp_path / "boxes.png").exists()
