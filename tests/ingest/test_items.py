from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.items import Facts, GeoPoint, MetadataValue, digest_facts, format_rfc3339

NOON = datetime(2024, 5, 1, 12)
VALUES: st.SearchStrategy[MetadataValue] = st.one_of(
    st.text(),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.datetimes(),
    st.builds(GeoPoint, st.just(1.5), st.just(2.5)),
)
METADATA = st.dictionaries(st.text(), VALUES, max_size=5)


@settings(max_examples=30)
@given(st.text(), st.text(), METADATA)
def test_equal_facts_have_equal_digests_in_any_order(
    label: str, caption: str, metadata: dict[str, MetadataValue]
) -> None:
    turned = dict(reversed(metadata.items()))
    assert digest_facts(Facts(label, caption, metadata)) == digest_facts(Facts(label, caption, turned))


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
        Facts(metadata={"a": GeoPoint(1, 2)}),
        Facts(metadata={"a": GeoPoint(2, 1)}),
    ]
    assert len({digest_facts(each) for each in facts}) == len(facts)


def test_lone_surrogates_have_distinct_digests() -> None:
    assert digest_facts(Facts("\ud83d")) != digest_facts(Facts("\ud83e"))


def test_a_time_is_written_with_its_zone_or_as_utc() -> None:
    assert format_rfc3339(NOON) == format_rfc3339(NOON.replace(tzinfo=UTC)) == "2024-05-01T12:00:00+00:00"
    assert format_rfc3339(NOON.replace(tzinfo=timezone(timedelta(hours=2)))) == "2024-05-01T12:00:00+02:00"
