from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weaviate.classes.config import DataType
from weaviate.classes.query import Filter
from weaviate.collections.classes.filters import _Filters

from clip_vectorizer.database.schema import image_properties
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import build_filter
from clip_vectorizer.query.filters.where_values import parse_period

PROPERTIES = {each.name: each.dataType for each in image_properties()} | {
    "price": DataType.NUMBER,
    "sold": DataType.BOOL,
    "brand": DataType.TEXT,
    "pages": DataType.INT_ARRAY,
    "owner": DataType.OBJECT,
    "predicted_label": DataType.TEXT,
    "predicted_score": DataType.NUMBER,
}


def as_tuples(built: Any) -> Any:
    """A filter of weaviate-client as nested tuples."""
    if hasattr(built, "filters"):
        return (built.operator.value, *map(as_tuples, built.filters))
    if hasattr(built, "filter"):
        return (built.operator.value, as_tuples(built.filter))
    value = built.value
    return (
        built.target,
        built.operator.value,
        (value.latitude, value.longitude, value.distance) if hasattr(value, "latitude") else value,
    )


def parse(*expressions: str) -> Any:
    return as_tuples(build_filter(list(expressions), PROPERTIES))


def day(*date: int) -> datetime:
    return datetime(*date, tzinfo=UTC)  # type: ignore[arg-type]


def test_no_expression_is_no_filter() -> None:
    assert build_filter(None, PROPERTIES) is None
    assert build_filter([], PROPERTIES) is None


def test_a_filter_of_weaviate_client_is_returned_unchanged() -> None:
    own = Filter.by_property("anything").equal(1)
    assert build_filter(own, PROPERTIES) is own


def test_several_expressions_must_all_match() -> None:
    assert parse("label=fruit", "size>3") == ("And", ("label", "Equal", "fruit"), ("size", "GreaterThan", 3))
    assert as_tuples(build_filter("label=fruit", PROPERTIES)) == ("label", "Equal", "fruit")


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("label = fruit ", ("label", "Equal", "fruit")),
        ("label==fruit", ("label", "Equal", "fruit")),
        ("label!=fruit", ("label", "NotEqual", "fruit")),
        ("label=fruit|red  pepper", ("label", "ContainsAny", ["fruit", "red  pepper"])),
        ("label != a | b", ("label", "ContainsNone", ["a", "b"])),
        ("label<g", ("label", "LessThan", "g")),
        (r"label=a\|b", ("label", "Equal", "a|b")),
        ("path=a=b>c", ("path", "Equal", "a=b>c")),
        ("camera='Nikon D40'", ("camera", "Equal", "Nikon D40")),
        ('label=""', ("label", "Equal", "")),
        ("label='", ("label", "Equal", "'")),
        ("path~2024/*|*.png", ("Or", ("path", "Like", "2024/*"), ("path", "Like", "*.png"))),
        ("caption=the red apple", ("caption", "Equal", "the red apple")),
        ("brand~aj*", ("brand", "Like", "aj*")),
        ("size>=-20", ("size", "GreaterThanEqual", -20)),
        ("size=1e3|2", ("size", "ContainsAny", [1000, 2])),
        ("pages=3", ("pages", "Equal", 3)),
        ("price<=2.5", ("price", "LessThanEqual", 2.5)),
        ("sold=yes", ("sold", "Equal", True)),
        ("sold!=TRUE", ("sold", "NotEqual", True)),
        ("taken_at=2024-06-01T18:30+02:00", ("taken_at", "Equal", day(2024, 6, 1, 16, 30))),
        ("taken_at>2024-06-01 18:30", ("taken_at", "GreaterThan", day(2024, 6, 1, 18, 30))),
        ("taken_at>2024", ("taken_at", "GreaterThanEqual", day(2025, 1, 1))),
        ("taken_at>=2024", ("taken_at", "GreaterThanEqual", day(2024, 1, 1))),
        ("taken_at<=2024-02", ("taken_at", "LessThan", day(2024, 3, 1))),
        ("taken_at<2024-02-29", ("taken_at", "LessThan", day(2024, 2, 29))),
        ("predicted_label=on", ("predicted_label", "Equal", "on")),
        ("predicted_score>=0.5", ("predicted_score", "GreaterThanEqual", 0.5)),
        ("location<10km@52.5,-13.4", ("location", "WithinGeoRange", (52.5, -13.4, 10_000.0))),
        ("location<= 500 m @ 52, 13", ("location", "WithinGeoRange", (52.0, 13.0, 500.0))),
    ],
)
def test_an_expression_is_parsed_by_the_type_of_its_property(expression: str, expected: Any) -> None:
    assert parse(expression) == expected


def test_a_month_ends_where_the_next_one_begins() -> None:
    december = ("taken_at", "GreaterThanEqual", day(2024, 12, 1)), ("taken_at", "LessThan", day(2025, 1, 1))
    assert parse("taken_at=2024-12") == ("And", *december)
    assert parse("taken_at!=2024-12") == ("Not", ("And", *december))


@given(st.dates(datetime(1678, 1, 1).date(), datetime(2261, 12, 31).date()))
def test_a_day_is_in_its_month_and_its_month_in_its_year(date: Any) -> None:
    (year, next_year), (month, next_month), (start, end) = map(parse_period, (f"{date:%Y}", f"{date:%Y-%m}", f"{date}"))
    assert year <= month <= start < end <= next_month <= next_year
    assert end - start == timedelta(days=1)


@pytest.mark.parametrize("name", ["label", "caption", "size", "price", "taken_at", "sold", "location", "pages"])
def test_every_type_can_be_filtered_by_presence(name: str) -> None:
    assert parse(f" ! {name} ?") == ("Not", parse(f"{name}?"))


def test_outside_a_circle_needs_a_place() -> None:
    inside = ("location", "WithinGeoRange", (52.0, 13.0, 1000.0))
    assert parse("location>1km@52,13") == ("And", parse("location?"), ("Not", inside))


@pytest.mark.parametrize(
    "expression, complaint",
    [
        ("lable=fruit", "no property is called lable; did you mean label? there are brand, camera, caption, "),
        ("Label?", "no property is called Label; did you mean label?"),
        ("weight>3", "no property is called weight; there are brand, "),
        ("stamp=1", "stamp has no index to filter by; these have: brand, camera, "),
        ("!facts?", "facts has no index"),
        ("fit=crop", "fit has no index"),
        ("thumbnail?", "thumbnail has no index"),
        ("image=x", "image has no index"),
        ("owner=me", "owner has no index"),
        ("label", "expected a property, a comparison and a value, for example label=fruit"),
        ("", "expected a property"),
        ("=fruit", "expected a property"),
        ("label fruit", "expected a property"),
        ("label=", 'a value is missing; label="" finds empty texts, !label? images without a value'),
        ("label=a||b", "a value is missing"),
        ("size<3|4", "< takes one value; several, separated by |, work with = != ~"),
        ("size~3", "size holds whole numbers; use = != < <= > >="),
        ("sold<true", "sold holds true or false; use = !="),
        ("caption>a", "caption holds texts compared by their words; use = != ~"),
        ("location=1km@1,1", "location holds places; use < <= > >="),
        ("size>big", "'big' is not a number; write 1000, -2.5 or 1e6"),
        ("size>2.5", "'2.5' is not a whole number"),
        ("size>9007199254740993000", "is out of range"),
        ("price=nan", "'nan' is not a number"),
        ("price<inf", "'inf' is not a number"),
        ("sold=maybe", "'maybe' is neither true nor false"),
        (
            "taken_at=yesterday",
            "'yesterday' is not a time that Weaviate can store; write 2024, 2024-06, 2024-06-01 or ",
        ),
        ("taken_at>2024-02-30", "is not a time"),
        ("taken_at<=9999", "from 1678 to 2261"),
        ("taken_at<0000", "is not a time"),
        ("taken_at<9999-12", "is not a time"),
        ("taken_at=0001-01-01T00:00+14:00", "is not a time"),
        ("caption=the", "'the' has no word that is indexed; words like 'a' and 'the' are not"),
        ("caption=apple|!!", "'!!' has no word"),
        ('caption=""', "'' has no word"),
        ("caption~!!", "'!!' has no letter"),
        ("location<10@52,13", "'10@52,13' is not a circle; write 10km@52.5,13.4"),
        ("location<1km@91,0", "latitudes go from -90 to 90"),
    ],
)
def test_an_invalid_expression_raises_with_the_expression_and_a_correction(expression: str, complaint: str) -> None:
    with pytest.raises(InputError) as raised:
        build_filter(["label=fruit", expression], PROPERTIES)
    assert str(raised.value).startswith(f"the filter {expression!r}: ")
    assert complaint in str(raised.value)


NEARLY = st.from_regex(r"(size|price|taken_at|location|label|caption|sold)(=|!=|<|~).{0,12}", fullmatch=True)


@given(expression=st.text(max_size=20) | NEARLY)
def test_any_text_is_a_filter_or_raises(expression: str) -> None:
    try:
        assert isinstance(build_filter(expression, PROPERTIES), _Filters)
    except InputError as raised:
        assert str(raised).startswith("the filter ")


def test_a_bar_inside_quotes_belongs_to_the_value() -> None:
    assert parse('label="a|b"') == parse(r"label=a\|b")
    assert parse("""label="a|b" | 'c'|d""") == parse(r"label=a\|b|c|d")
    assert parse('label="a"b|c') == parse('label="a"b|"c"')


@pytest.mark.parametrize("filters", [5, b"label=a", ["label=a", None], {"label": "a"}])
def test_a_filter_that_is_not_text_raises(filters: Any) -> None:
    with pytest.raises(InputError, match="expected a text, for example"):
        build_filter(filters, PROPERTIES)


def test_text_that_is_not_utf8_raises() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        parse("label=a\udc80")
