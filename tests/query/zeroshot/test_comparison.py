import pytest

from clip_vectorizer.query.zeroshot.comparison import IMAGES, LABELS, MATMUL, choose_fastest, estimate_seconds


@pytest.mark.parametrize("images", [1, 1000, 100_000])
@pytest.mark.parametrize("labels", [2, 1000])
def test_files_always_use_the_matrix_product(images: int, labels: int) -> None:
    assert choose_fastest(images, labels, 512, in_files=True) == MATMUL
    assert LABELS not in estimate_seconds(images, labels, 512, in_files=True)


def test_many_labels_use_the_matrix_product() -> None:
    assert choose_fastest(10_000, 1000, 512, in_files=False) == MATMUL


def test_few_labels_and_long_vectors_use_one_query_per_label() -> None:
    assert choose_fastest(10_000, 2, 1280, in_files=False) == LABELS
    assert choose_fastest(10_000, 100, 1280, in_files=False) == MATMUL


def test_an_empty_collection_has_a_strategy() -> None:
    assert choose_fastest(0, 2, 512, in_files=False) in (IMAGES, LABELS, MATMUL)
