"""Pages of images and PDF files: what is drawn, what is left out and why, and that they are drawn once."""

from pathlib import Path

import numpy as np
import pikepdf
import pytest
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.images.pdf_passwords import PdfPassword
from clip_vectorizer.progress import SilentProgress
from clip_vectorizer.training.simclr.pages import DATA, load_pages
from tests.ingest.sources.pdf_files import filled, pdf
from tests.training.simclr.drawn import TALL, draw_page, save_folder, save_pdf


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def step(self, sentence: str) -> None:
        self.steps.append(sentence)


def test_images_and_pages_of_pdf_files_are_drawn_on_white_squares(tmp_path: Path) -> None:
    found = load_pages(save_folder(tmp_path / "in", images=2, pdf_pages=3), tmp_path / "drawn", 96)
    pages = [f"plans.pdf#page={number}" for number in (1, 2, 3)]
    assert list(found.keys) == [*pages, "scans/000.png", "scans/001.png"]
    assert found.pages_ncc.shape == (5, 144, 144) and found.pages_ncc.dtype == np.uint8
    tall, wide = found.pages_ncc[0], found.pages_ncc[3]
    assert (tall[:, :20] == 255).all() and (tall[:, 21:-21] < 128).any() and (wide[:20] == 255).all()


def test_a_page_of_a_pdf_file_is_the_picture_that_it_was_made_from(tmp_path: Path) -> None:
    page = draw_page(1, TALL)
    save_pdf(tmp_path / "a.pdf", [page, draw_page(2, TALL)])
    page.save(tmp_path / "b.png")
    pages_ncc = load_pages(tmp_path, tmp_path / "drawn", 128).pages_ncc
    assert len(pages_ncc) == 3
    assert np.abs(pages_ncc[0].astype(int) - pages_ncc[2]).mean() < 4


def test_a_colour_becomes_its_luma(tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (50, 50), colour).save(tmp_path / f"{name}.png")
    pages_ncc = load_pages(tmp_path, tmp_path / "drawn", 96).pages_ncc
    assert [int(page[70, 70]) for page in pages_ncc] == [76, 29]  # 255 * 0.299, 255 * 0.114


def test_bad_files_are_named_and_spoil_nothing(tmp_path: Path) -> None:
    folder, progress = save_folder(tmp_path / "in", images=2, pdf_pages=2), Notes()
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "empty.jpg").write_bytes(b"")
    with pikepdf.open(folder / "plans.pdf") as plain:
        plain.save(folder / "secret.pdf", encryption=pikepdf.Encryption(owner="x", user="x"))
    found = load_pages(folder, tmp_path / "drawn", 96, progress)
    assert len(found.keys) == 4
    notes = "\n".join(progress.notes)
    assert "secret.pdf is skipped: an encrypted PDF file that needs a password; give it by --pdf-password" in notes
    assert "broken.pdf is skipped: a broken PDF file" in notes
    assert "broken.png is skipped" in notes and "empty.jpg is skipped" in notes and "4 pages to learn from" in notes


def encrypt(source: Path, target: Path, password: str) -> None:
    with pikepdf.open(source) as plain:
        plain.save(target, encryption=pikepdf.Encryption(owner=password, user=password))


def test_a_password_opens_what_was_left_out_without_it_and_is_in_no_file(tmp_path: Path) -> None:
    folder, drawn, tried = save_folder(tmp_path / "in", images=2, pdf_pages=2), tmp_path / "drawn", Notes()
    encrypt(save_pdf(tmp_path / "plain.pdf", [draw_page(7), draw_page(8)]), folder / "secret.pdf", "geheim")
    assert len(load_pages(folder, drawn, 96).keys) == 4
    assert len(load_pages(folder, drawn, 96, tried, [PdfPassword("wrong")]).keys) == 4
    assert "secret.pdf is skipped: an encrypted PDF file, and no given password opens it" in "\n".join(tried.notes)
    keys = load_pages(folder, drawn, 96, passwords=[PdfPassword("wrong"), PdfPassword("geheim")]).keys
    assert [key for key in keys if "secret" in key] == ["secret.pdf#page=1", "secret.pdf#page=2"]
    again = Notes()
    assert load_pages(folder, drawn, 96, again).keys == keys and not again.steps  # as they are kept
    assert not any(b"geheim" in file.read_bytes() for file in drawn.iterdir())


def test_a_damaged_pdf_file_is_repaired_and_pages_that_are_lost_are_named(tmp_path: Path) -> None:
    whole = save_pdf(tmp_path / "whole.pdf", [draw_page(1), draw_page(2), draw_page(3)]).read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "no-end.pdf").write_bytes(b"x" * 2000 + whole[: whole.rindex(b"startxref")])
    lost = pdf(filled("1 0 0", 0, 0, 200, 100), filled("0 0 1", 0, 0, 200, 100))
    (tmp_path / "in" / "part.pdf").write_bytes(lost[: lost.index(b"6 0 obj")])
    progress = Notes()
    keys = list(load_pages(tmp_path / "in", tmp_path / "drawn", 96, progress).keys)
    assert keys == [*(f"no-end.pdf#page={number}" for number in (1, 2, 3)), "part.pdf#page=1"]
    assert "part.pdf#page=2 is skipped: its content is lost: the PDF file is damaged" in progress.notes


def test_equal_pages_count_once(tmp_path: Path) -> None:
    blank = Image.new("RGB", (100, 141), "white")
    save_pdf(tmp_path / "a.pdf", [blank, draw_page(1), blank, blank])
    assert list(load_pages(tmp_path, tmp_path / "drawn", 96).keys) == ["a.pdf#page=1", "a.pdf#page=2"]


def test_pages_are_drawn_once_and_again_after_a_change(tmp_path: Path) -> None:
    source, drawn = save_folder(tmp_path / "in", images=3, pdf_pages=1), tmp_path / "drawn"
    first, again, other, more = Notes(), Notes(), Notes(), Notes()
    before = load_pages(source, drawn, 96, first)
    assert np.array_equal(load_pages(source, drawn, 96, again).pages_ncc, before.pages_ncc)
    assert first.steps and not again.steps
    assert load_pages(source, drawn, 128, other).pages_ncc.shape == (4, 192, 192) and other.steps
    draw_page(99).save(source / "new.png")
    assert "new.png" in load_pages(source, drawn, 128, more).keys and more.steps
    assert (drawn / DATA).stat().st_size == 5 * 192 * 192


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pages_are_an_error_that_names_the_source(tmp_path: Path, count: int) -> None:
    (tmp_path / "in").mkdir()
    for seed in range(count):
        draw_page(seed).save(tmp_path / "in" / f"{seed}.png")
    with pytest.raises(InputError, match=rf"in has {count} different page.* at least 2; name a folder of images and"):
        load_pages(tmp_path / "in", tmp_path / "drawn", 96)


def test_a_single_pdf_file_is_a_source_and_a_text_file_is_none(tmp_path: Path) -> None:
    file = save_pdf(tmp_path / "plans.pdf", [draw_page(1), draw_page(2)])
    assert len(load_pages(file, tmp_path / "drawn", 96).keys) == 2
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="neither a folder nor a PDF file"):
        load_pages(tmp_path / "a.txt", tmp_path / "drawn", 96)
