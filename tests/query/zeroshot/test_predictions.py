import pytest

from clip_vectorizer.database import schema
from clip_vectorizer.database.schema import prediction_properties
from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Classification
from clip_vectorizer.query.zeroshot.predictions import build_properties, has_values

RESULT = Classification("a.png", "cat", 0.75, 0.5, "dog", id="1")


def test_an_object_that_says_the_same_is_not_written_again() -> None:
    wanted = build_properties(RESULT, "pets@1")
    assert has_values(wanted, wanted)
    assert has_values({**wanted, "predicted_score": 0.750004}, wanted)  # found in another way


@pytest.mark.parametrize(
    "change",
    [{"predicted_label": "dog"}, {"predicted_score": 0.76}, {"predicted_by": "pets@2"}, {"predicted_score": None}],
)
def test_an_object_that_says_something_else_is_written(change: dict[str, object]) -> None:
    wanted = build_properties(RESULT, "pets@1")
    assert not has_values({**wanted, **change}, wanted)


def test_what_is_written_has_its_properties() -> None:
    assert {each.name for each in prediction_properties()} == set(build_properties(RESULT, ""))


@pytest.mark.parametrize("name", sorted(schema.PREDICTION_PROPERTIES))
def test_a_users_column_cannot_overwrite_a_prediction(name: str) -> None:
    with pytest.raises(InputError, match="would overwrite the property"):
        schema.property_name(name)
