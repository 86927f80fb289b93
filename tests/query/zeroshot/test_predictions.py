from types import MappingProxyType, SimpleNamespace

import pytest
from weaviate.classes.config import DataType

from clip_vectorizer.database import schema
from clip_vectorizer.database.schema import prediction_properties
from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Classification
from clip_vectorizer.query.connect import WeaviateImages
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.zeroshot.predictions import build_properties, has_values

RESULT = Classification("a.png", "cat", 0.75, 0.5, "dog", id="1")


def test_an_object_with_the_same_values_is_not_written_again() -> None:
    wanted = build_properties(RESULT, "pets@1")
    assert has_values(wanted, wanted)
    assert has_values({**wanted, "predicted_score": 0.750004}, wanted)  # computed by another strategy


@pytest.mark.parametrize(
    "change",
    [{"predicted_label": "dog"}, {"predicted_score": 0.76}, {"predicted_by": "pets@2"}, {"predicted_score": None}],
)
def test_an_object_with_other_values_is_written(change: dict[str, object]) -> None:
    wanted = build_properties(RESULT, "pets@1")
    assert not has_values({**wanted, **change}, wanted)


def test_every_value_has_a_property_in_the_schema() -> None:
    assert {each.name for each in prediction_properties()} == set(build_properties(RESULT, ""))


@pytest.mark.parametrize("name", sorted(schema.PREDICTION_PROPERTIES))
def test_a_users_column_cannot_overwrite_a_prediction(name: str) -> None:
    with pytest.raises(InputError, match="would overwrite the property"):
        schema.property_name(name)


def test_new_properties_reach_later_searches_and_leave_the_first_target_unchanged() -> None:
    target = SearchTarget("Image", MappingProxyType({"path": DataType.TEXT}))
    images = WeaviateImages(SimpleNamespace(collections=SimpleNamespace(use=str)), "", target)  # type: ignore[arg-type]
    images.add_properties({"predicted_label": DataType.TEXT})
    assert images.target.properties == {"path": DataType.TEXT, "predicted_label": DataType.TEXT}
    assert target.properties == {"path": DataType.TEXT}
