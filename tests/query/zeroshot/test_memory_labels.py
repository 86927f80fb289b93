"""A classification that leaves nothing in the database: labels in memory, and what does not go with it."""

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.labels.label_store import Label
from clip_vectorizer.query.labels.memory_labels import MemoryLabels
from clip_vectorizer.query.zeroshot.classify import ClassifyOptions

CAT, DOG = (Label(name, (name,), "family", f"id of {name}") for name in ("cat", "dog"))


def test_labels_in_memory_are_found_nearest_first() -> None:
    labels = MemoryLabels()
    labels.add([CAT, DOG], np.eye(2, dtype=np.float32))
    vector = np.array([0.6, 0.8], dtype=np.float32)

    found = labels.nearest(vector, [CAT.id, DOG.id, "id of nothing"])

    assert [each.id for each in found] == [DOG.id, CAT.id]
    assert [each.distance for each in found] == pytest.approx([0.2, 0.4])
    assert list(labels.vectors([DOG.id, "id of nothing"])) == [DOG.id]


def test_a_label_set_and_the_strategy_images_need_stored_labels() -> None:
    with pytest.raises(InputError, match="a label set needs labels in the database"):
        ClassifyOptions(store_labels=False, label_set="things")
    with pytest.raises(InputError, match="the strategy images needs labels in the database"):
        ClassifyOptions(store_labels=False, strategy="images")
