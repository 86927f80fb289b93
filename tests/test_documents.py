"""The documents say what is so."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
EMOJI = REPOSITORY / "clip_vectorizer" / "models" / "emoji"


@pytest.mark.parametrize("document", [REPOSITORY / "README.md", EMOJI / "README.md"])
def test_recall_figures_are_those_that_training_measured(document: Path) -> None:
    shipped = next(part for part in (EMOJI / "recall.md").read_text().split("\n\n|") if part.startswith(" query"))
    rows = [line for line in shipped.splitlines() if line.startswith(("| text->image", "| image->text"))]
    assert len(rows) == 8
    assert all(row in document.read_text() for row in rows)


def test_the_weights_are_small_enough_for_a_wheel() -> None:
    assert (EMOJI / "open_clip_model.safetensors").stat().st_size <= 12_000_000


def test_the_examples_carry_their_licence_and_a_caption_each() -> None:
    images = REPOSITORY / "examples" / "images"
    assert "CC BY-SA 4.0" in (images / "ATTRIBUTION.md").read_text()
    assert "Attribution-ShareAlike 4.0" in (images / "LICENSE.txt").read_text()
    drawings = list(images.rglob("*.png"))
    assert len(drawings) > 300
    assert all(drawing.with_suffix(".txt").read_text(encoding="utf-8").strip() for drawing in drawings)


def test_every_file_the_readme_links_to_is_there() -> None:
    text = (REPOSITORY / "README.md").read_text()
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert all((REPOSITORY / link).exists() for link in links if "://" not in link)
