import io
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.items import Facts, UnusableFile
from ingest.sources.annotations import (
    CAPTION_SUFFIX,
    METADATA_SUFFIX,
    Annotation,
    AnnotationIndex,
    Annotations,
    read_facts,
)
from ingest.sources.base import PropertyColumn, SourceOptions
from ingest.sources.property_values import parse_value


def note(name: str, content: str | bytes) -> Annotation:
    data = content.encode() if isinstance(content, str) else content
    return Annotation(name, lambda most: data[:most])


def read(caption: str | bytes | None = None, metadata: str | bytes | None = None, **options: object) -> Facts:
    notes = Annotations(
        None if caption is None else note("x.txt", caption), None if metadata is None else note("x.json", metadata)
    )
    return read_facts(notes, "folder", SourceOptions(**options))  # type: ignore[arg-type]


def test_annotations_are_found_by_the_whole_name_before_the_stem() -> None:
    index = AnnotationIndex(["x.txt", "x.jpg.txt", "X.TXT", "x.json", "loose.txt", "x.png"])
    assert index.find("x.jpg", CAPTION_SUFFIX) == "x.jpg.txt" and index.find("x.png", CAPTION_SUFFIX) == "x.txt"
    assert index.find("X.png", CAPTION_SUFFIX) == "X.TXT" and index.find("x.png", METADATA_SUFFIX) == "x.json"
    assert index.find("y.png", CAPTION_SUFFIX) is None and index.list_unmatched(["x.png", "x.jpg", "X.gif"]) == [
        "loose.txt"
    ]


def test_the_text_file_comes_before_the_json_file_and_that_before_the_folder() -> None:
    fields = '{"caption": " from json ", "label": "cat", "other": [1]}'
    assert read("\ufeffone\n", fields) == Facts("cat", "one", {})
    assert read(None, fields) == Facts("cat", "from json", {})
    assert read(None, "{}") == Facts("folder", "", {})
    assert read(None, '{"label": 7, "caption": null}') == Facts("7", "", {})


def test_other_fields_can_be_chosen_and_mapped() -> None:
    columns = (
        PropertyColumn("stars", "rating", "int"),
        PropertyColumn("when", "day", "date"),
        PropertyColumn("missing", "gone"),
    )
    found = read(
        None,
        '{"title": "a", "kind": "b", "stars": "5", "when": "2024-05-06"}',
        caption_column="title",
        label_column="kind",
        columns=columns,
    )
    assert found == Facts("b", "a", {"rating": 5, "day": datetime(2024, 5, 6, tzinfo=UTC)})


STARS = (PropertyColumn("stars", "stars"),)


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (lambda: read(b"caf\xe9"), r"its caption x\.txt is not UTF-8 text; save it as UTF-8"),
        (lambda: read("x" * 100_001), r"its caption x\.txt is longer than 100000 bytes"),
        (lambda: read(None, "{", columns=STARS), r"its metadata x\.json is not JSON"),
        (lambda: read(None, b"\xff", columns=STARS), r"its metadata x\.json is not JSON"),
        (lambda: read(None, "[" * 100_000, columns=STARS), r"its metadata x\.json is not JSON"),
        (lambda: read(None, "[1]", columns=STARS), r"its metadata x\.json is not a JSON object but a list"),
        (lambda: read(None, '{"a": "b"}', columns=(PropertyColumn("a", "a", "int"),)), "its column 'a' is no int: 'b'"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_named_with_the_reason(use: Callable[[], Facts], reason: str) -> None:
    with pytest.raises(UnusableFile, match=reason):
        use()


@pytest.mark.parametrize("json", ["{", b"\xff", "[1]"])
def test_the_json_file_of_another_tool_loses_no_image_unless_its_fields_are_needed(json: str | bytes) -> None:
    assert read("a cat", json) == Facts("folder", "a cat")


def test_an_annotation_that_cannot_be_read_is_named() -> None:
    def gone(most: int) -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(UnusableFile, match=r"its caption x\.txt cannot be read \(No such file or directory\)"):
        read_facts(Annotations(Annotation("x.txt", gone)), "", SourceOptions())


def test_half_a_character_in_json_becomes_a_question_mark() -> None:
    assert read(None, r'{"caption": "a\ud83d"}').caption == "a?"


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("", "a", "a"),
        ("", 1, 1),
        ("", True, True),
        ("", 1.5, 1.5),
        ("text", 5, "5"),
        ("text", ["a"], '["a"]'),
        ("int", " 5 ", 5),
        ("int", 5.0, 5),
        ("number", "1e3", 1000.0),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("date", "2024-05-06T07:08:09Z", datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    ],
)
def test_values_get_the_type_of_the_column(kind: str, raw: object, value: object) -> None:
    made = parse_value(raw, PropertyColumn("a", "a", kind))
    assert made == value and type(made) is type(value)


@pytest.mark.parametrize("kind", ["", "text", "int", "number", "boolean", "date"])
@pytest.mark.parametrize("raw", [None, "", float("nan")])
def test_nothing_is_no_value(kind: str, raw: object) -> None:
    assert parse_value(raw, PropertyColumn("a", "a", kind)) is None


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("", [1]),
        ("", float("inf")),
        ("", 2**63),
        ("int", "1.5"),
        ("int", 1.5),
        ("int", True),
        ("int", str(2**63)),
        ("number", "inf"),
        ("number", "nan"),
        ("number", [1]),
        ("boolean", "maybe"),
        ("boolean", 2),
        ("date", "yesterday"),
        ("date", 5),
    ],
)
def test_values_that_do_not_fit_are_refused(kind: str, raw: object) -> None:
    with pytest.raises(UnusableFile, match="its column 'a' is "):
        parse_value(raw, PropertyColumn("a", "a", kind))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(raw=JSON, kind=st.sampled_from(["", "text", "int", "number", "boolean", "date"]))
def test_any_value_is_read_or_refused_with_its_name(raw: object, kind: str) -> None:
    try:
        parse_value(raw, PropertyColumn("a", "a", kind))
    except UnusableFile as problem:
        assert "its column 'a'" in str(problem)


@given(data=st.binary(max_size=200))
def test_any_metadata_file_is_read_or_refused(data: bytes) -> None:
    try:
        read(io.BytesIO(data).read(), data)
    except UnusableFile as problem:
        assert str(problem).startswith("its ")
