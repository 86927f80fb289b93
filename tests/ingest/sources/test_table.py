import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from clip_vectorizer.errors import InputError, SettingsError
from ingest.items import Facts, SourceItem
from ingest.sources.base import PropertyColumn, SourceOptions, SourceResult
from ingest.sources.table import open_table
from ingest.sources.table_rows import choose_format
from ingest.sources.transport import Transport
from tests.ingest.fakes import png
from tests.ingest.sources.pdf_files import pdf
from tests.ingest.sources.support import failures, items, reason, written
from tests.ingest.sources.web_server import Site

HOUR_AGO = datetime.now().timestamp() - 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "sub/c.png"):
        os.utime(written(tmp_path / name, png()), (HOUR_AGO, HOUR_AGO))
    return tmp_path


def listed(folder: Path, text: bytes | str, name: str = "t.csv", **options: object) -> list[SourceResult]:
    return list(open_table(str(written(folder / name, text)), SourceOptions(**options)))


def keys(found: list[SourceResult]) -> list[str]:
    return [item.key for item in items(found)]


def facts(item: SourceItem) -> Facts:
    return item.facts(b"")


def refusal(folder: Path, text: bytes | str, name: str = "t.csv", **options: object) -> str:
    with pytest.raises(InputError) as caught:
        listed(folder, text, name, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path,label,caption\na.png,x,one\nsub/c.png,,\n"),
        ("t.csv", "\ufeffpath;label;caption\r\na.png;x;one\r\nsub/c.png;;\r\n"),
        ("t.csv", "sep=;\npath;label;caption\na.png;x;one\nsub/c.png\n"),
        ("t.csv", "path|label|caption\ra.png|x|one\rsub/c.png||\r"),
        (
            "t.csv",
            '"path","label, all","caption"\n"a.png","x","one"\n"sub/c.png","",""\n'.replace("label, all", "label"),
        ),
        ("T.TSV", "path\tlabel\tcaption\na.png\tx\tone\n\nsub/c.png\t\t"),
        ("t.csv", "path,label,caption\na.png,x,one\nsub/c.png,,\n".encode("utf-16")),
        ("t.ndjson", '{"path": "a.png", "label": "x", "caption": "one"}\n\n{"path": "sub/c.png"}\n'),
        ("t.jsonl", '\ufeff{"label": "x", "path": "a.png", "caption": "one"}\r\n{"path": "sub/c.png", "label": null}'),
    ],
    ids=["csv", "semicolons and mark", "sep line", "pipes and CR", "quotes", "tsv", "utf-16", "ndjson", "jsonl"],
)
def test_a_row_is_an_image_with_its_label_and_caption(folder: Path, name: str, text: bytes | str) -> None:
    first, second = items(listed(folder, text, name))
    assert (first.key, second.key, first.source) == ("a.png", "sub/c.png", str(folder / name))
    assert facts(first) == Facts("x", "one") and facts(second) == Facts() and first.read() == png()


def test_parquet_is_a_table_with_types_of_its_own(folder: Path) -> None:
    when = datetime(2020, 5, 17, 8, tzinfo=UTC)
    columns = {
        "image_path": ["a.png", "b.png"],
        "year": [1990, None],
        "price": [1.5, float("nan")],
        "sold": [True, False],
        "seen": pyarrow.array([when, None], pyarrow.timestamp("ns", "UTC")),
        "huge": [b"x" * 100_000] * 2,
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "t.parquet")
    mapped = tuple(PropertyColumn(name, name) for name in ("year", "price", "sold", "seen"))
    first, second = open_table(str(folder / "t.parquet"), SourceOptions(columns=mapped))
    assert facts(first).metadata == {"year": 1990, "price": 1.5, "sold": True, "seen": when}  # type: ignore[arg-type]
    assert facts(second).metadata == {"sold": False}  # type: ignore[arg-type]


def test_a_parquet_column_that_no_property_takes_is_refused_at_once(folder: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a.png"], "blob": [b"x"]}), folder / "t.parquet")
    with pytest.raises(InputError, match="'blob' holds binary"):
        open_table(str(folder / "t.parquet"), SourceOptions(columns=(PropertyColumn("blob", "blob"),)))


def test_columns_become_properties_by_their_types(folder: Path) -> None:
    columns = tuple(
        PropertyColumn(name, f"p_{name}", type)
        for name, type in [("n", "int"), ("x", "number"), ("ok", "boolean"), ("day", "date"), ("t", "")]
    )
    [item] = items(listed(folder, "path,n,x,ok,day,t\na.png,7,2.5,yes,2020-05-17,7\n", columns=columns))
    day = datetime(2020, 5, 17, tzinfo=UTC)
    assert facts(item).metadata == {"p_n": 7, "p_x": 2.5, "p_ok": True, "p_day": day, "p_t": "7"}


def test_every_bad_row_is_one_failure_and_the_others_go_on(folder: Path) -> None:
    good_and_bad = ["a.png,1", ",2", "./a.png,3", "b.png,many", '"sub/c.png"x,5', "b.png,6,7", "sub//c.png,8"]
    text = "\n".join(["path,n", *good_and_bad, "gone.png,9", "sub,10", "b\0.png,\n"])
    found = listed(folder, text, columns=(PropertyColumn("n", "n", "int"),))
    reasons = failures(found)
    assert keys(found) == ["a.png", "sub/c.png"]
    assert "'path' is empty" in reasons["t.csv#row=3"]
    assert reasons["t.csv#row=4"] == "row 4 names the same file as row 2: a.png"
    assert "'n'" in reasons["t.csv#row=5"] and "'many'" in reasons["t.csv#row=5"]
    assert "is a quote opened and not closed?" in reasons["t.csv#row=6"]
    assert "3 fields" in reasons["t.csv#row=7"]
    assert reasons["gone.png"] == "cannot be read (No such file or directory)"
    assert reasons["sub"] == "a folder, not a file"
    assert "zero byte" in reasons["t.csv#row=11"]
    assert len(found) == 10


def test_lines_of_bad_json_are_failures_and_the_others_go_on(folder: Path) -> None:
    lines = [
        b'{"path": "a.png"}',
        b"{",
        b"[1]",
        b'{"path": 7}',
        b'{"path": "\\ud800.png"}',
        b'{"path": "b\xe9.png"}',
        b"[" * 100_000,
        b'{"path": "b.png"}',
    ]
    found = listed(folder, b"\n".join(lines), "t.ndjson")
    reasons = failures(found)
    assert keys(found) == ["a.png", "b.png"] and list(reasons) == [f"t.ndjson#row={number}" for number in range(2, 8)]
    assert "'path' is no text" in reasons["t.ndjson#row=4"] and "UTF-8" in reasons["t.ndjson#row=5"]


def test_rows_that_are_not_utf8_fail_with_a_way_out(folder: Path) -> None:
    found = listed(folder, "path,label\na.png,café\nb.png,x\n".encode("latin-1"))
    assert keys(found) == ["b.png"] and "save the table as UTF-8" in failures(found)["t.csv#row=2"]


def test_a_quoted_field_may_hold_line_ends(folder: Path) -> None:
    found = listed(folder, 'path,caption\na.png,"one\ntwo"\n,three\n')
    assert facts(items(found)[0]).caption == "one\ntwo" and "t.csv#row=4" in failures(found)


def test_rows_of_separators_alone_are_no_rows(folder: Path) -> None:
    found = listed(folder, "path;caption\r\na.png;one\r\n;\r\n;\r\n")
    assert keys(found) == ["a.png"] and not failures(found)


def test_names_of_columns_that_are_not_utf8_fail_with_a_way_out_if_one_is_needed(folder: Path) -> None:
    table = "Datei;Größe\na.png;1\n".encode("cp1252")
    assert "save it as UTF-8" in refusal(folder, table)
    assert "save it as UTF-8" in refusal(folder, table, path_column="Datei", columns=(PropertyColumn("Größe", "size"),))
    assert keys(listed(folder, table, path_column="Datei")) == ["a.png"]


def test_the_error_of_a_value_of_another_type_names_the_option_for_text(folder: Path) -> None:
    found = listed(folder, "path;cost\na.png;0,5\n", columns=(PropertyColumn("cost", "price", "number"),))
    assert failures(found)["t.csv#row=2"].endswith(
        "is no number: '0,5'; to store it as text, use --property cost=price:text"
    )


def test_a_quote_that_is_never_closed_ends_in_a_failure(folder: Path) -> None:
    found = listed(folder, 'path,caption\na.png,one\nb.png,"two\nsub/c.png,three\n')
    assert keys(found) == ["a.png"] and "quote" in failures(found)["t.csv#row=3"]


@pytest.mark.parametrize("column", ["Path", "file_name", "IMAGE_URL", "uri"])
def test_the_column_of_paths_is_found_by_its_usual_names(folder: Path, column: str) -> None:
    assert keys(listed(folder, f"id,{column}\n1,a.png\n")) == ["a.png"]


def test_columns_may_be_named(folder: Path) -> None:
    text = "path,bild,art,text\nx,a.png,Katze,schläft\n"
    [item] = items(listed(folder, text, path_column="bild", label_column="art", caption_column="text"))
    assert (item.key, facts(item)) == ("a.png", Facts("Katze", "schläft"))


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ("id,picture\n1,a.png\n", {}, "it has 'id', 'picture'; choose by --path-column"),
        ("id,path\n1,a.png\n", {"path_column": "paht"}, "which --path-column names; did you mean 'path'?"),
        ("path,art\na.png,1\n", {"label_column": "label"}, "has no column 'label', which --label-column names"),
        ("path,art\na.png,1\n", {"columns": (PropertyColumn("Art", "art"),)}, "did you mean 'art'?"),
        ("path,path\na.png,1\n", {}, "2 columns called 'path'"),
        ("path\n", {}, "no rows"),
        ("", {}, "empty"),
        ("\n\n", {}, "empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_name(
    folder: Path, text: str, options: dict[str, object], why: str
) -> None:
    reasons = refusal(folder, text, **options)
    assert reasons.startswith(str(folder / "t.csv")) and why in reasons


@pytest.mark.parametrize(
    ("name", "data"), [("t.parquet", b"no parquet"), ("t.ndjson", b'[{"path": "a.png"}]'), ("t.jsonl", b"")]
)
def test_a_file_of_another_format_is_refused(folder: Path, name: str, data: bytes) -> None:
    assert refusal(folder, data, name)


def test_parquet_without_its_package_is_an_error_with_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "clip_vectorizer.tables.parquet", raising=False)
    with pytest.raises(SettingsError, match=r"pip install clip-vectorizer\[parquet\]"):
        choose_format("x.parquet")


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        open_table(str(tmp_path / "gone.csv"), SourceOptions())


def test_relative_paths_begin_at_the_root_that_is_named(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    found = listed(other, "path\n./c.png\n../a.png\n", root=str(folder / "sub"))
    assert keys(found) == ["c.png", "../a.png"] and [item.read() for item in items(found)] == [png(), png()]


def test_absolute_paths_stay_as_they_are(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = listed(tmp_path_factory.mktemp("other"), f"path\n{folder}/a.png\n")
    assert keys(found) == [f"{folder}/a.png"] and items(found)[0].read() == png()


def test_the_stamp_changes_with_the_file_and_with_its_row_and_with_nothing_else(folder: Path) -> None:
    def stamp(text: str, **options: object) -> str:
        return items(listed(folder, text, **options))[0].stamp

    columns = (PropertyColumn("year", "year", "int"),)
    first = stamp("path,label,year\na.png,x,1\n", columns=columns)
    assert first == stamp("path,label,year\na.png,x,1\nb.png,y,2\n", columns=columns)
    others = {
        stamp("path,label,year\na.png,y,1\n", columns=columns),
        stamp("path,label,year\na.png,x,2\n", columns=columns),
    }
    os.utime(folder / "a.png", (HOUR_AGO - 9, HOUR_AGO - 9))
    others.add(stamp("path,label,year\na.png,x,1\n", columns=columns))
    assert len(others | {first}) == 4 and "" not in others
    os.utime(folder / "a.png")
    assert stamp("path,label,year\na.png,x,1\n", columns=columns) == ""


def test_a_pdf_in_a_row_becomes_its_pages_with_the_facts_of_the_row(folder: Path) -> None:
    written(folder / "x.pdf", pdf(b"", b""))
    found = listed(folder, "path,label\nx.pdf,plans\n")
    assert keys(found) == ["x.pdf#page=1", "x.pdf#page=2"]
    assert facts(items(found)[1]) == Facts("plans", metadata={"page": 2})


def test_addresses_are_read_from_the_web_in_order_and_keep_no_secret(folder: Path, site: Site, far: Transport) -> None:
    rows = [
        site.add(f"/{number}.png", png((number, 0, 0)), slow_seconds=0.05 * (number % 6 == 0)) for number in range(60)
    ]
    signed = rows[0] + "?id=7&X-Amz-Signature=geheim&X-Amz-Expires=60"
    text = "url,label\n" + f"{signed},x\na.png,y\n" + "".join(f"{row},x\n" for row in rows[1:])
    found = list(open_table(str(written(folder / "t.csv", text)), SourceOptions(), far))
    assert keys(found) == [f"{rows[0]}?id=7", "a.png", *rows[1:]]
    assert items(found)[0].read() == png((0, 0, 0)) and items(found)[50].read() == png((49, 0, 0))
    assert all(item.stamp for item in items(found)) and site.requests["HEAD", "/59.png"] == 1


def test_the_stamp_of_an_address_does_not_change_with_its_signature(folder: Path, site: Site, far: Transport) -> None:
    address = site.add("/x.png", png())

    def stamp(signature: str) -> str:
        text = f"url\n{address}?X-Amz-Signature={signature}\n"
        [item] = items(open_table(str(written(folder / "t.csv", text)), SourceOptions(), far))
        return item.stamp

    first = stamp("one")
    assert first == stamp("two")
    site.add("/x.png", png((1, 2, 3)))
    assert stamp("three") != first


def test_an_address_that_is_gone_fails_when_it_is_read(folder: Path, site: Site, far: Transport) -> None:
    table = written(folder / "t.csv", f"url\n{site.address}/gone.png\n")
    [item] = items(open_table(str(table), SourceOptions(), far))
    assert item.stamp == "" and reason(item) == "not found (HTTP 404)"


def test_few_rows_are_requested_ahead_of_the_reader(folder: Path, site: Site, far: Transport) -> None:
    rows = [site.add(f"/{number}.png", png()) for number in range(120)]
    table = iter(open_table(str(written(folder / "t.csv", "url\n" + "\n".join(rows))), SourceOptions(), far))
    first = next(table)
    assert isinstance(first, SourceItem) and sum(site.requests.values()) < 100
    assert len(list(table)) == 119


def test_a_table_ten_times_over_is_the_same_each_time(folder: Path) -> None:
    table = open_table(str(written(folder / "t.csv", "path\na.png\nb.png\n")), SourceOptions())
    assert [keys(list(table)) for _ in range(3)] == [["a.png", "b.png"]] * 3


def test_a_hundred_thousand_rows_are_streamed(folder: Path) -> None:
    rows = "\n".join(json.dumps({"path": f"{number}.png"}) for number in range(100_000))
    table = iter(open_table(str(written(folder / "t.ndjson", rows)), SourceOptions()))
    assert failures([next(table)]) == {"0.png": "cannot be read (No such file or directory)"}
