import pytest

from clip_vectorizer import schema
from clip_vectorizer.errors import InputError
from clip_vectorizer.label_schema import predicted_properties
from clip_vectorizer.query import Classification
from clip_vectorizer.query.zeroshot.writing import properties_of, says

RESULT = Classification("a.png", "cat", 0.75, 0.5, "dog", id="1")


def test_an_object_that_says_the_same_is_not_written_again() -> None:
    wanted = properties_of(RESULT, "pets@1")
    assert says(wanted, wanted)
    assert says({**wanted, "predicted_score": 0.750004}, wanted)  # found in another way


@pytest.mark.parametrize(
    "change",
    [{"predicted_label": "dog"}, {"predicted_score": 0.76}, {"predicted_by": "pets@2"}, {"predicted_score": None}],
)
def test_an_object_that_says_something_else_is_written(change: dict[str, object]) -> None:
    wanted = properties_of(RESULT, "pets@1")
    assert not says({**wanted, **change}, wanted)


def test_what_is_written_has_its_properties() -> None:
    assert {each.name for each in predicted_properties()} == set(properties_of(RESULT, ""))


@pytest.mark.parametrize("name", sorted(schema.PREDICTED))
def test_a_users_column_cannot_overwrite_a_prediction(name: str) -> None:
    with pytest.raises(InputError, match="would overwrite the property"):
        schema.property_name(name)
