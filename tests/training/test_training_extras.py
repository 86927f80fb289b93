import sys

import pytest

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.training_extras import check_extras, find_package_folder


def test_all_are_here() -> None:
    check_extras()


def test_what_is_missing_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(TrainingDataError, match=r"missing: nowhere; pip install 'clip-vectorizer\[train\]'"):
        check_extras(("json", "nowhere"))


def test_a_package_is_found_without_its_import() -> None:
    assert (find_package_folder("jieba") / "dict.txt").is_file()
    assert "jieba" not in sys.modules
    with pytest.raises(TrainingDataError, match="missing: nowhere"):
        find_package_folder("nowhere")
