from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from ingest.embedded.files import check_disk_space


def test_enough_room_is_no_error_and_makes_the_folder(tmp_path: Path) -> None:
    check_disk_space(tmp_path / "cache", 0.000001, "a test")
    assert (tmp_path / "cache").is_dir()


def test_too_little_room_says_how_much_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"building Weaviate needs 1e\+09 GB in .*; free some, or set XDG_CACHE_HOME"):
        check_disk_space(tmp_path, 1e9, "building Weaviate")
