import pickle
import re
from pathlib import Path

import click
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.images.pdf_passwords import PdfPassword
from ingest.choices import Fit, Keep
from ingest.cli import main
from ingest.distributed.cluster import RaySettings
from ingest.distributed.driver import build_cluster_job
from ingest.items import ItemOutcome, Status
from ingest.job import IngestJob, build_job, parse_column
from ingest.listing import Shard
from ingest.prune import PruneLimit
from ingest.report import IngestReport, ReportFile
from ingest.sources.base import PropertyColumn


def job(*arguments: str) -> IngestJob:
    given = main.make_context("clip-ingest", list(arguments)).params
    built = build_job(**{name: value for name, value in given.items() if name not in ("report_file", "as_json")})
    assert isinstance(built, IngestJob)
    return built


def report_of(tmp_path: Path, *outcomes: ItemOutcome) -> str:
    with ReportFile(tmp_path / "r.jsonl", lambda _: None) as report:
        for outcome in outcomes:
            report(IngestReport(), outcome)
    return str(tmp_path / "r.jsonl")


def test_without_options_a_collection_is_filled_by_weaviates_module_as_it_was_made() -> None:
    plain = job("photos")
    assert plain.sources == ("photos",) and plain.collection == "Image" and not plain.embed_here
    assert (plain.keep, plain.prune, plain.hash_distance, plain.tenant) == (None, None, None, None)
    assert not (plain.dry_run or plain.watch or plain.settings.checksum or plain.settings.prepare.take_over)
    assert plain.settings.verify and plain.settings.patience_seconds == 300
    assert not plain.settings.selection.is_part and plain.options.fit is None


def test_every_option_reaches_the_job() -> None:
    full = job(
        *("one", "two.csv", "--collection", "Mine", "--tenant", "t", "--embed", "client", "--keep", "hash"),
        *("--workers", "3", "--least-decoded", "0.5"),
        *("--ignore", "*.tmp", "--ignore", "x/", "--hidden", "--fit", "pad", "--dpi", "72", "--frames", "--exif"),
        *("--path-column", "p", "--label-column", "l", "--caption-column", "c", "--root", "r", "--checksum"),
        *("--storage", "anon=true", "--storage", "endpoint_url=http://x/?a=b", "--prefix", "shop", "--take-over"),
        *("--limit", "5", "--shard", "2/8", "--near-duplicates", "4", "--patience", "7.5", "--watch"),
    )
    assert (full.sources, full.collection, full.tenant) == (("one", "two.csv"), "Mine", "t")
    assert full.embed_here and full.keep is Keep.HASH and full.watch and full.hash_distance == 4
    options, settings = full.options, full.settings
    assert options.ignore == ("*.tmp", "x/") and options.hidden and options.fit is Fit.PAD and options.dpi == 72
    assert options.frames and options.exif and options.root == "r"
    assert (options.path_column, options.label_column, options.caption_column) == ("p", "l", "c")
    assert options.storage == {"anon": "true", "endpoint_url": "http://x/?a=b"}
    assert settings.workers == 3 and settings.checksum and settings.patience_seconds == 7.5
    assert settings.prepare.decode.least_decoded == 0.5
    assert settings.prepare.take_over and settings.prepare.near_duplicates
    assert settings.selection.prefix == "shop" and settings.selection.limit == 5
    assert settings.selection.shard == Shard(2, 8)


def test_the_connection_is_read_from_options_and_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVIATE_URL", "http://w:1")
    monkeypatch.setenv("WEAVIATE_API_KEY", "secret")
    connection = job("photos", "--vectorizer-url", "http://v:2").connection
    assert (connection.weaviate_url, connection.api_key, connection.vectorizer_url) == (
        "http://w:1",
        "secret",
        "http://v:2",
    )


def test_passwords_of_pdf_files_come_from_options_or_from_the_lines_of_a_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = job("photos", "--pdf-password", "geheim", "--pdf-password", "two words").options.pdf_passwords
    assert given == (PdfPassword("geheim"), PdfPassword("two words"))
    monkeypatch.setenv("CLIP_PDF_PASSWORD", "in the variable\r\n\nanother\n")
    assert job("photos").options.pdf_passwords == (PdfPassword("in the variable"), PdfPassword("another"))
    assert job("photos", "--pdf-password", "geheim").options.pdf_passwords == (PdfPassword("geheim"),)


def test_a_password_is_not_in_the_text_of_the_job_and_reaches_the_workers_of_ray() -> None:
    secret = job("photos", "--pdf-password", "geheim")
    assert "geheim" not in repr(secret) + str(secret.options)
    sent: IngestJob = pickle.loads(pickle.dumps(build_cluster_job(secret, RaySettings())))
    assert sent.options.pdf_passwords == (PdfPassword("geheim"),)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(InputError, match="--pdf-password is empty"):
        job("photos", "--pdf-password", "")


def test_a_dry_run_does_not_verify_uploads() -> None:
    dry = job("photos", "--dry-run")
    assert dry.dry_run and not dry.settings.verify


@pytest.mark.parametrize("keep", ["full", "thumbnail", "hash", "none"])
def test_keep_has_the_values_of_the_help(keep: str) -> None:
    assert job("photos", "--keep", keep).keep == Keep(keep)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_fit_has_the_values_of_the_help(fit: str) -> None:
    assert job("photos", "--fit", fit).options.fit == Fit(fit)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        (["--prune"], PruneLimit(percent=10)),
        (["--prune", "--prune-limit", "500"], PruneLimit(500)),
        (["--prune", "--prune-limit", "30%"], PruneLimit(percent=30)),
    ],
)
def test_prune_has_a_limit_of_ten_percent_by_default(options: list[str], limit: PruneLimit) -> None:
    assert job("photos", *options).prune == limit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price", PropertyColumn("price", "price", "")),
        ("price:number", PropertyColumn("price", "price", "number")),
        ("Price (EUR)=price:number", PropertyColumn("Price (EUR)", "price", "number")),
        ("a=b=c", PropertyColumn("a=b", "c", "")),
        ("og:title=title:text", PropertyColumn("og:title", "title", "text")),
        ("og:title", PropertyColumn("og:title", "og:title", "")),
        ("camera", PropertyColumn("camera", "camera", "")),
        ("=price", PropertyColumn("price", "price", "")),
    ],
)
def test_a_column_becomes_a_property_of_a_name_and_a_type(text: str, expected: PropertyColumn) -> None:
    assert parse_column(text) == expected and job("x.csv", "--property", text).options.columns == (expected,)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--property", "price="], "COLUMN"),
        (["--property", ":int"], "COLUMN"),
        (["--property", ""], "COLUMN"),
        (["--storage", "anon"], "KEY=VALUE"),
        (["--storage", "=x"], "KEY=VALUE"),
        (["--shard", "9/8"], "1/8 to 8/8"),
        (["--prune", "--prune-limit", "most"], "500 or 20%"),
        (["--prune", "--limit", "5"], "--prune does not work with --limit: it needs the whole source"),
        (["--prune-limit", "5"], "removes nothing by itself.; add --prune"),
        (
            ["--property", "price=path"],
            "'path' cannot be the name of a property; rename it, --property 'price'=my",
        ),
        (["--property", "价格"], "'价格' cannot be the name of a property; rename it, --property '价格'=my_name"),
        (["--prefix", "\udcff"], "not UTF-8 text"),
        (["--retry-failed", "/nowhere/r.jsonl"], "--retry-failed /nowhere/r.jsonl cannot be read"),
    ],
)
def test_unusable_values_are_refused_with_what_to_do(options: list[str], sentence: str) -> None:
    with pytest.raises((InputError, click.UsageError)) as caught:
        job("photos", *options)
    assert re.search(sentence, str(caught.value)) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--limit", "0"],
        ["--workers", "0"],
        ["--dpi", "5"],
        ["--keep", "half"],
        ["--fit", "squash"],
        ["--embed", "me"],
        ["--near-duplicates", "16"],
        ["--patience", "-1"],
    ],
)
def test_a_value_out_of_range_is_a_usage_error(options: list[str]) -> None:
    with pytest.raises(click.UsageError) as caught:
        job("photos", *options)
    assert options[0] in caught.value.format_message()


def test_a_retry_without_a_source_takes_those_of_the_report(tmp_path: Path) -> None:
    report = report_of(tmp_path, ItemOutcome("x", Status.FAILED, "", "/b"), ItemOutcome("y", Status.FAILED, "", "/a"))
    assert job("--retry-failed", report).sources == ("/b", "/a")
    assert job("photos", "--retry-failed", report).sources == ("photos",)


def test_a_retry_chooses_what_failed_among_what_is_listed(tmp_path: Path) -> None:
    report = report_of(tmp_path, ItemOutcome("x", Status.FAILED, "", "/b"), ItemOutcome("y", Status.ADDED, "", "/b"))
    selection = job("--retry-failed", report, "--shard", "1/1").settings.selection
    assert selection.is_part and selection.shard == Shard(1, 1)
    assert selection.has(ItemOutcome("x", Status.FAILED)) and not selection.has(ItemOutcome("y", Status.FAILED))


def test_a_retry_cannot_prune(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="whole source"):
        job("--prune", "--retry-failed", report_of(tmp_path, ItemOutcome("x", Status.FAILED, "", "/b")))
