"""Images in the cells of tables: Parquet as `datasets` of Hugging Face writes it, base64 in CSV and JSON lines."""

import base64
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.items import Facts, UnusableFile
from ingest.sources.base import PropertyColumn, SourceOptions, SourceResult
from ingest.sources.table import open_table
from ingest.sources.table_cells import parse_cell
from ingest.sources.table_rows import MAX_LINE_LENGTH
from tests.ingest.fakes import png
from tests.ingest.sources.pdf_files import pdf
from tests.ingest.sources.support import failures, items, written

RED, GREEN, BLUE = png((250, 0, 0)), png((0, 250, 0)), png((0, 0, 250))
IMAGE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def parquet(file: Path, metadata: dict[str, Any] | None = None, rows_of_group: int = 2, **columns: object) -> Path:
    """`metadata`: the features that `datasets` notes."""
    table = pyarrow.table(columns)
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": metadata}})})
    pyarrow.parquet.write_table(table, file, row_group_size=rows_of_group)
    return file


def listed(file: Path, **options: Any) -> list[SourceResult]:
    return list(open_table(str(file), SourceOptions(**options)))


def read(found: list[SourceResult]) -> dict[str, bytes]:
    return {item.key: item.read() for item in items(found)}


def texts(found: list[SourceResult]) -> list[Facts]:
    return [item.facts(b"") for item in items(found)]


def structs(*values: tuple[bytes | None, str | None]) -> pyarrow.Array:
    return pyarrow.array([{"bytes": data, "path": path} for data, path in values], IMAGE)


def test_a_table_of_hugging_face_holds_images_and_names_of_labels(tmp_path: Path) -> None:
    features = {
        "image": {"_type": "Image"},
        "label": {"names": ["cat", "wolf"], "_type": "ClassLabel"},
        "caption": {"dtype": "string", "_type": "Value"},
    }
    images = structs((RED, "cat.png"), (GREEN, None), (None, "gone.png"), (BLUE, "./cats/x.png"))
    columns = {"label": [0, 1, 1, -1], "caption": ["a cat", None, "gone", "unknown"]}
    found = listed(parquet(tmp_path / "t.parquet", features, image=images, **columns))
    assert read(found) == {
        "t.parquet::cat.png": RED,
        "t.parquet#row=2": GREEN,
        "t.parquet::cats/x.png": BLUE,
    }
    assert texts(found) == [Facts("cat", "a cat"), Facts("wolf"), Facts("", "unknown")]
    reason = "no bytes in its column 'image', only a path: cannot be read (No such file or directory)"
    assert failures(found) == {"gone.png": reason}
    assert {item.source for item in items(found)} == {str(tmp_path / "t.parquet")}


@pytest.mark.parametrize(
    "kind",
    [
        pyarrow.binary(),
        pyarrow.large_binary(),
        pyarrow.binary_view(),
        pyarrow.list_(pyarrow.binary()),
        pyarrow.large_list(pyarrow.large_binary()),
        pyarrow.list_(IMAGE),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["image", "img", "jpg", "Images", "content", "what"])
def test_bytes_of_any_type_are_images_under_any_name(tmp_path: Path, name: str, kind: pyarrow.DataType) -> None:
    is_list, is_struct = "list" in str(kind), "struct" in str(kind)
    values = [{"bytes": each, "path": None} if is_struct else each for each in (RED, GREEN)]
    cells = pyarrow.array([[value] if is_list else value for value in values], kind)
    found = listed(parquet(tmp_path / "t.parquet", **{"id": [1, 2], name: cells}))
    assert list(read(found).values()) == [RED, GREEN]


def test_rows_without_an_image_fail_alone(tmp_path: Path) -> None:
    images = structs((RED, "a.png"), (None, None), (b"", ""), (GREEN, "b.png"))
    found = listed(parquet(tmp_path / "t.parquet", image=images))
    reason = "its column 'image' has neither bytes nor a path"
    assert failures(found) == {"t.parquet#row=2": reason, "t.parquet#row=3": reason}
    assert list(read(found)) == ["t.parquet::a.png", "t.parquet::b.png"]
    [one] = failures(
        listed(parquet(tmp_path / "n.parquet", image=pyarrow.array([None, RED], pyarrow.binary())))
    ).items()
    assert one == ("n.parquet#row=1", "its column 'image' is empty")


def test_a_path_without_bytes_is_a_file_next_to_the_table(tmp_path: Path) -> None:
    written(tmp_path / "x.png", BLUE)
    found = listed(parquet(tmp_path / "t.parquet", image=structs((None, "x.png"), (None, f"{tmp_path}/x.png"))))
    assert read(found) == {"x.png": BLUE, f"{tmp_path}/x.png": BLUE}


def test_several_images_of_a_row_are_objects_each_with_the_facts_of_the_row(tmp_path: Path) -> None:
    lists = [[{"bytes": RED, "path": "a.png"}, {"bytes": GREEN, "path": None}, {"bytes": None, "path": None}], []]
    cells = pyarrow.array(lists, pyarrow.list_(IMAGE))
    found = listed(parquet(tmp_path / "t.parquet", images=cells, caption=["both", "none"]))
    assert read(found) == {"t.parquet::a.png": RED, "t.parquet#row=1,image=2": GREEN}
    assert texts(found) == [Facts("", "both")] * 2
    assert list(failures(found)) == ["t.parquet#row=1,image=3", "t.parquet#row=2"]


def test_images_of_one_name_are_kept_apart_by_their_rows(tmp_path: Path) -> None:
    found = listed(parquet(tmp_path / "t.parquet", image=structs((RED, "0.png"), (GREEN, "0.png"), (BLUE, "0.png"))))
    assert read(found) == {
        "t.parquet::0.png": RED,
        "t.parquet#row=2::0.png": GREEN,
        "t.parquet#row=3::0.png": BLUE,
    }


def test_images_without_a_path_are_named_by_a_column(tmp_path: Path) -> None:
    found = listed(parquet(tmp_path / "t.parquet", content=[RED, GREEN], path=["s3://b/a.png?x", ""], width=[1, 2]))
    assert read(found) == {"t.parquet::s3://b/a.png?x": RED, "t.parquet#row=2": GREEN}
    found = listed(parquet(tmp_path / "w.parquet", jpg=[RED], __key__=["0001"], txt=["a cat"]), caption_column="txt")
    assert list(read(found)) == ["w.parquet::0001"] and texts(found) == [Facts("", "a cat")]


def test_the_name_of_an_image_keeps_no_signature_and_no_zero_byte(tmp_path: Path) -> None:
    url = "https://user:word@e.org/a.png?X-Amz-Signature=geheim"
    found = listed(parquet(tmp_path / "t.parquet", image=structs((RED, url), (GREEN, "a\0b.png"))))
    assert list(read(found)) == ["t.parquet::https://e.org/a.png", "t.parquet#row=2"]


def test_a_declared_image_comes_before_a_path_and_bytes_of_unusual_names_after_it(tmp_path: Path) -> None:
    written(tmp_path / "x.png", BLUE)
    declared = parquet(tmp_path / "d.parquet", photo=structs((RED, None)), path=["x.png"])
    assert list(read(listed(declared)).values()) == [RED]
    assert list(read(listed(declared, path_column="path")).values()) == [BLUE]
    plain = parquet(tmp_path / "p.parquet", thumbnail=[RED], path=["x.png"])
    assert list(read(listed(plain)).values()) == [BLUE]


def test_several_columns_of_images_must_be_chosen_from(tmp_path: Path) -> None:
    file = parquet(tmp_path / "t.parquet", before=structs((RED, None)), after=structs((GREEN, None)))
    with pytest.raises(InputError, match="has images in 'before', 'after'; choose one by --path-column"):
        listed(file)
    assert list(read(listed(file, path_column="after")).values()) == [GREEN]


def test_sounds_are_no_images(tmp_path: Path) -> None:
    file = parquet(tmp_path / "t.parquet", {"audio": {"_type": "Audio"}}, audio=structs((b"RIFF", "x.wav")))
    with pytest.raises(InputError, match="none of its columns is called"):
        listed(file)


@pytest.mark.parametrize("cells", [[[[0, 255], [1, 2]]], [7], [{"height": 3, "data": b"BGR"}]], ids=str)
def test_a_column_of_pixels_or_numbers_is_refused_by_its_type(tmp_path: Path, cells: list[object]) -> None:
    file = parquet(tmp_path / "t.parquet", image=cells)
    if cells == [7]:
        assert "is no text" in failures(listed(file))["t.parquet#row=1"]
        return
    with pytest.raises(InputError, match=r"its column 'image' holds .*: neither paths nor image files"):
        listed(file)


@pytest.mark.parametrize("column", ["blob", "audio", "image"])
def test_bytes_are_no_property(tmp_path: Path, column: str) -> None:
    file = parquet(tmp_path / "t.parquet", image=[RED], blob=[b"x"], audio=structs((b"x", "y")))
    with pytest.raises(InputError, match=f"its column '{column}' holds .*, which no property takes"):
        listed(file, columns=(PropertyColumn(column, "p"),))


def test_text_that_is_stored_as_bytes_is_read(tmp_path: Path) -> None:
    written(tmp_path / "grün.png", BLUE)
    found = listed(parquet(tmp_path / "t.parquet", url=[" grün.png ".encode(), b"\xff\xfe no image", RED]))
    assert next(iter(read(found).items())) == ("grün.png", BLUE) and len(read(found)) == 3


def test_a_stamp_changes_with_the_image_and_with_its_row(tmp_path: Path) -> None:
    def stamps(**columns: object) -> list[str]:
        return [item.stamp for item in items(listed(parquet(tmp_path / "t.parquet", **columns)))]

    first = stamps(image=[RED, GREEN], label=["a", "b"])
    assert all(first) and first == stamps(image=[RED, GREEN], label=["a", "b"])
    assert stamps(image=[RED, BLUE], label=["c", "b"])[0] != first[0]
    assert stamps(image=[BLUE, GREEN], label=["a", "b"])[1] == first[1]


def test_a_pdf_file_in_a_cell_becomes_its_pages(tmp_path: Path) -> None:
    found = listed(parquet(tmp_path / "t.parquet", image=structs((pdf(b"", b""), "plan.pdf"))))
    assert list(read(found)) == ["t.parquet::plan.pdf#page=1", "t.parquet::plan.pdf#page=2"]


def test_a_table_cut_off_or_a_pointer_to_one_is_refused_by_name(tmp_path: Path) -> None:
    whole = parquet(tmp_path / "t.parquet", image=[RED]).read_bytes()
    for data, why in (
        (whole[:-20], "not a Parquet file, or a broken one"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, .*`git lfs pull`"),
    ):
        with pytest.raises(InputError, match=why):
            listed(written(tmp_path / "t.parquet", data))


def test_a_row_group_that_is_damaged_ends_the_table_with_a_failure(tmp_path: Path) -> None:
    file = parquet(tmp_path / "t.parquet", rows_of_group=1, image=[RED, GREEN, BLUE])
    with pyarrow.parquet.ParquetFile(file) as whole:
        at = whole.metadata.row_group(1).column(0).dictionary_page_offset
    data = bytearray(file.read_bytes())
    data[at : at + 30] = b"\xff" * 30
    found = listed(written(file, bytes(data)))
    assert list(read(found)) == ["t.parquet#row=1"] and list(failures(found)) == ["t.parquet#row=2"]
    assert "the table cannot be read from here on" in failures(found)["t.parquet#row=2"]


def test_text_that_is_not_utf8_fails_its_own_row(tmp_path: Path) -> None:
    texts = pyarrow.array([b"one", b"caf\xe9", b"three"], pyarrow.binary()).view(pyarrow.string())
    found = listed(parquet(tmp_path / "t.parquet", rows_of_group=3, image=[RED, GREEN, BLUE], caption=texts))
    assert list(read(found)) == ["t.parquet#row=1", "t.parquet#row=3"]
    assert "its values cannot be read ('utf-8'" in failures(found)["t.parquet#row=2"]


@settings(max_examples=100, deadline=None)
@given(bits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=9))
def test_a_damaged_table_is_refused_or_its_rows_fail(bits: list[tuple[float, int]]) -> None:
    out = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"image": structs((RED, "a.png"), (GREEN, None))}), out)
    data = bytearray(out.getvalue().to_pybytes())
    for at, bit in bits:
        data[int(at * len(data))] ^= 1 << bit
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = listed(written(Path(folder) / "t.parquet", bytes(data)))
        except InputError as problem:
            assert "t.parquet: " in str(problem)
        else:
            assert found and all(failures(found).values())


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    program = (
        "import resource, sys\n"
        "from ingest.sources.base import SourceOptions\n"
        "from ingest.sources.table import open_table\n"
        "table = open_table(sys.argv[1], SourceOptions())\n"
        "next(iter(table))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(sum(item.held_bytes for item in table), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    images = pyarrow.table({"image": [os.urandom(1_000_000)] * 150})  # in one row group, without a dictionary
    pyarrow.parquet.write_table(images, tmp_path / "t.parquet", compression="none", use_dictionary=False)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "t.parquet"], capture_output=True, text=True, timeout=120, check=True
    )
    held, grown_kilobytes = map(int, done.stdout.split())
    assert held == 150_000_000 and grown_kilobytes < 80_000


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def jsonl(file: Path, *rows: object) -> Path:
    return written(file, "\n".join(map(json.dumps, rows)))


def test_base64_in_json_lines_is_an_image(tmp_path: Path) -> None:
    wrapped = base64.encodebytes(GREEN).decode()
    rows = (
        {"image": f"data:image/png;base64,{encoded(RED)}", "caption": "a uri"},
        {"image": wrapped},
        {"image": base64.urlsafe_b64encode(BLUE).decode().rstrip("=")},
        {"image": {"bytes": encoded(RED), "path": "x.png"}},
        {"image": {"url": f"data:image/png;base64,{encoded(BLUE)}"}},
        {"image": [f"data:image/png;base64,{encoded(RED)}", encoded(GREEN)]},
    )
    found = listed(jsonl(tmp_path / "t.jsonl", *rows))
    assert not failures(found)
    assert list(read(found).items()) == [
        ("t.jsonl#row=1", RED),
        ("t.jsonl#row=2", GREEN),
        ("t.jsonl#row=3", BLUE),
        ("t.jsonl::x.png", RED),
        ("t.jsonl#row=5", BLUE),
        ("t.jsonl#row=6,image=1", RED),
        ("t.jsonl#row=6,image=2", GREEN),
    ]
    assert texts(found)[0] == Facts("", "a uri")


def test_cells_of_json_lines_that_hold_no_image_fail_with_the_reason(tmp_path: Path) -> None:
    rows = (
        {"image": "data:image/svg+xml,%3Csvg/%3E"},
        {"image": "data:image/png;base64,!!!"},
        {"image": [[0, 255], [3, 4]]},
        {"image": [0, 255]},
        {"image": {}},
        {"image": []},
        {"image": {"path": "\ud800.png"}},
        {"image": "x" * 5000},
        {"image": f"data:image/png;base64,{encoded(RED)}"},
    )
    found = listed(jsonl(tmp_path / "t.jsonl", *rows))
    reasons = list(failures(found).values())
    assert [key.partition("#")[2] for key in failures(found)] == [f"row={number}" for number in range(1, 9)]
    assert reasons[0] == "its column 'image' is a data URI that is not base64"
    assert reasons[1].startswith("its column 'image' is not base64")
    assert reasons[2] == reasons[3] and "holds numbers (pixels?), not an image file" in reasons[2]
    assert reasons[4] == "its column 'image' has neither bytes nor a path"
    assert reasons[5] == "its column 'image' is empty" and "UTF-8" in reasons[6]
    assert reasons[7].endswith(f"neither a path, a URL nor an image in base64: {'x' * 40}...")
    assert list(read(found).values()) == [RED]


@pytest.fixture
def field_limit() -> Iterator[int]:
    limit = csv.field_size_limit()
    yield limit
    assert csv.field_size_limit() == limit


def test_base64_in_csv_may_be_longer_than_a_field_usually_is(tmp_path: Path, field_limit: int) -> None:
    large = png((1, 2, 3)) + bytes(3 * field_limit)
    rows = ["image,label", f'"data:image/png;base64,{encoded(large)}",a', f"{encoded(RED)},b", "x.png,c"]
    found = listed(written(tmp_path / "t.csv", "\n".join(rows)))
    assert list(read(found).items()) == [("t.csv#row=2", large), ("t.csv#row=3", RED)]
    assert [fact.label for fact in texts(found)] == ["a", "b"] and list(failures(found)) == ["x.png"]
    stopped = iter(open_table(str(tmp_path / "t.csv"), SourceOptions()))
    assert next(stopped) and csv.field_size_limit() == field_limit


def test_a_quote_that_is_not_closed_still_ends_after_a_few_lines(tmp_path: Path) -> None:
    lines = ["image,caption", 'a.png,"open', *["x.png,y" * 5000] * 20]
    found = listed(written(tmp_path / "t.csv", "\n".join(lines)))
    assert "is a quote opened and not closed?" in failures(found)["t.csv#row=2"] and len(found) > 10


def test_a_line_that_is_too_long_fails_with_its_limit_and_the_next_is_read(tmp_path: Path) -> None:
    long = json.dumps({"image": "data:image/png;base64," + "A" * MAX_LINE_LENGTH})
    short = json.dumps({"image": f"data:image/png;base64,{encoded(RED)}"})
    found = listed(written(tmp_path / "t.jsonl", f"{short}\n{long}\n{short}"))
    assert list(read(found).values()) == [RED, RED] and "a line of 16 MB or more" in failures(found)["t.jsonl#row=2"]


def test_paths_that_look_like_base64_are_paths() -> None:
    for word in (
        "/9j/x.jpg",
        "/9j/" + "a" * 70 + ".jpg",
        "Qk/photo",
        "UklGR.webp",
        "data/x.png",
        "R0lGOD" + "/x" * 70 + ".gif",
    ):
        [file] = parse_cell(word, "image")
        assert (file.name, file.data) == (word, None)


CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["bytes", "path", "url", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(value=CELLS)
def test_any_cell_gives_files_or_a_reason_that_names_its_column(value: object) -> None:
    try:
        files = parse_cell(value, "image")
    except UnusableFile as problem:
        assert "its column 'image'" in str(problem)
    else:
        assert files and all(file.data or file.name or file.problem for file in files)


@given(data=st.binary(min_size=1))
def test_bytes_and_their_base64_in_a_uri_are_the_same_file(data: bytes) -> None:
    [uri] = parse_cell(f"data:image/png;base64,{encoded(data)}", "image")
    [struct] = parse_cell({"bytes": data, "path": "x"}, "image")
    assert uri.data == struct.data == data
