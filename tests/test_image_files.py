"""The one list of image suffixes."""

import ast
import subprocess
import sys
from pathlib import Path

from PIL import Image

from clip_vectorizer.image_files import IMAGE_SUFFIXES, format_skipped, is_image_file
from clip_vectorizer.images.pillow import PILLOW_FORMATS
from ingest.sources.file_types import FILE_EXTENSIONS

ROOT = Path(__file__).parents[1]


def test_every_suffix_is_of_a_format_that_is_decoded() -> None:
    by_suffix = Image.registered_extensions()
    assert {by_suffix[suffix] for suffix in IMAGE_SUFFIXES} <= set(PILLOW_FORMATS)


def test_ingest_collects_every_image_suffix() -> None:
    assert set(IMAGE_SUFFIXES) < set(FILE_EXTENSIONS)


def test_there_is_one_list() -> None:
    assert files_with_a_list() == [ROOT / "clip_vectorizer" / "image_files.py"]


def files_with_a_list() -> list[Path]:
    sources = [file for package in ("clip_vectorizer", "ingest") for file in (ROOT / package).rglob("*.py")]
    return [file for file in sources if any(map(is_suffix_list, ast.walk(ast.parse(file.read_text("utf-8")))))]


def is_suffix_list(node: ast.AST) -> bool:
    if not isinstance(node, ast.Tuple | ast.List | ast.Set):
        return False
    values = {element.value for element in node.elts if isinstance(element, ast.Constant)}
    return {".jpg", ".png"} <= values


def test_the_list_is_imported_without_pillow() -> None:
    program = "import sys; import clip_vectorizer.image_files; print('PIL' in sys.modules, 'numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_suffixes_are_compared_in_any_case() -> None:
    assert is_image_file(Path("a/Photo.JPE")) and not is_image_file(Path("a.jpg/readme"))


def test_skipped_files_are_counted_by_suffix() -> None:
    assert format_skipped([]) == ""
    assert format_skipped([Path("x.md")]) == "1 other file skipped (.md 1)"
    assert format_skipped(map(Path, ["b.HEIC", "LICENSE", "a.heic"])) == (
        "3 other files skipped (.heic 2, no extension 1)"
    )
