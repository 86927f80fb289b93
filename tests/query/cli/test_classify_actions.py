from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.image_files import IMAGE_SUFFIXES
from clip_vectorizer.query.cli.classify_actions import list_threshold_images


def test_other_from_takes_every_image_suffix_in_any_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "cat" / f"{number}{suffix}" for number, suffix in enumerate((*IMAGE_SUFFIXES, ".JFIF"))]
    (tmp_path / "cat").mkdir()
    for file in files:
        file.touch()
    assert list_threshold_images(tmp_path) == sorted(files)
    assert capsys.readouterr().err == ""


def test_other_from_counts_the_files_that_it_skips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.avif", "b.heic", "c.txt", "README", "\x1b[31m.x\x1b"):
        (tmp_path / name).touch()
    assert list_threshold_images(tmp_path) == [tmp_path / "a.avif"]
    message = capsys.readouterr().err
    assert message.startswith(f"--other-from {tmp_path}: 4 other files skipped (") and ".heic 1" in message
    assert "\x1b" not in message


def test_other_from_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.heic").touch()
    with pytest.raises(InputError, match="no images there; name a folder of folders of images"):
        list_threshold_images(tmp_path)
