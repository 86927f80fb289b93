from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.facts import digest, rfc3339
from ingest.items import Facts, Place, Value

NOON = datetime(2024, 5, 1, 12)
VALUES: st.SearchStrategy[Value] = st.one_of(
    st.text(),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.datetimes(),
    st.builds(Place, st.just(1.5), st.just(2.5)),
)
METADATA = st.dictionaries(st.text(), VALUES, max_size=5)


@settings(max_examples=30)
@given(st.text(), st.text(), METADATA)
def test_equal_facts_have_equal_digests_whatever_their_order(
    label: str, caption: str, metadata: dict[str, Value]
) -> None:
    turned = dict(reversed(metadata.items()))
    assert digest(Facts(label, caption, metadata)) == digest(Facts(label, caption, turned))


def test_other_facts_have_other_digests() -> None:
    facts = [
        Facts(),
        Facts("a"),
        Facts("", "a"),
        Facts("a", "b"),
        Facts("ab"),
        Facts(metadata={"a": ""}),
        Facts(metadata={"a": 1}),
        Facts(metadata={"a": True}),
        Facts(metadata={"a": "1"}),
        Facts(metadata={"b": 1}),
        Facts(metadata={"a": NOON}),
        Facts(metadata={"a": Place(1, 2)}),
        Facts(metadata={"a": Place(2, 1)}),
    ]
    assert len({digest(each) for each in facts}) == len(facts)


def test_half_a_character_can_be_told_from_another() -> None:
    assert digest(Facts("\ud83d")) != digest(Facts("\ud83e"))


def test_a_time_is_written_with_its_zone_or_as_utc() -> None:
    assert rfc3339(NOON) == rfc3339(NOON.replace(tzinfo=UTC)) == "2024-05-01T12:00:00+00:00"
    assert rfc3339(NOON.replace(tzinfo=timezone(timedelta(hours=2)))) == "2024-05-01T12:00:00+02:00"
