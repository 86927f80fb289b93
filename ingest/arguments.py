"""From the words of a command to the job that they add up to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.database.schema import METADATA_PROPERTIES, property_name
from clip_vectorizer.errors import InputError
from ingest.choices import Fit, Keep
from ingest.job import IngestJob
from ingest.listing import Selection, Shard
from ingest.pipeline import IngestSettings
from ingest.prepare import PrepareSettings
from ingest.prune import PruneLimit, check_prune
from ingest.report import FailedItems
from ingest.sources.base import PropertyColumn, SourceOptions


def build_job(sources: Sequence[str], **given: Any) -> IngestJob:
    """Raises InputError for what cannot be or does not go together."""
    failed = FailedItems.read(given["retry_failed"]) if given["retry_failed"] else None
    shard = Shard.parse(given["shard"]) if given["shard"] else None
    selection = Selection(check_prefix(given["prefix"]), shard, given["limit"])
    prune = parse_prune_limit(given["prune"], given["prune_limit"])
    if prune:
        check_prune(selection, retry=failed is not None)
    if failed:
        selection = replace(selection, only=failed.has)
        sources = sources or failed.sources
    keep = Keep(given["keep"]) if given["keep"] else None
    alike_bits = given["alike_bits"]
    return IngestJob(
        sources=sources,
        connection=build_connection(given),
        options=build_source_options(given),
        settings=IngestSettings(
            workers=given["workers"],
            prepare=PrepareSettings(near_duplicates=alike_bits is not None, take_over=given["take_over"]),
            selection=selection,
            checksum=given["checksum"],
            patience_seconds=given["patience"],
            verify=not given["dry_run"],
        ),
        collection=given["collection"],
        tenant=given["tenant"],
        keep=keep,
        embed_here=given["embed"] == "client",
        quantizer=given["quantizer"],
        prune=prune,
        alike_bits=alike_bits,
        dry_run=given["dry_run"],
        watch=given["watch"],
        reindex=given["reindex"],
        inference_url=given["inference_url"],
    )


def check_prefix(prefix: str) -> str:
    try:
        prefix.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"--prefix {prefix!r}: not UTF-8 text; take other letters, or a terminal set to UTF-8"
        ) from error
    return prefix


def parse_prune_limit(asked: bool, limit: str | None) -> PruneLimit | None:
    if limit and not asked:
        raise InputError(f"--prune-limit {limit} removes nothing by itself; add --prune")
    return PruneLimit.parse(limit or "10%") if asked else None


def build_connection(given: dict[str, Any]) -> ConnectionSettings:
    return ConnectionSettings(
        given["weaviate_url"],
        given["weaviate_grpc_port"],
        given["weaviate_api_key"],
        given["vectorizer_url"],
        given["vectorizer_api_key"],
    )


def build_source_options(given: dict[str, Any]) -> SourceOptions:
    return SourceOptions(
        ignore=given["ignore"],
        hidden=given["hidden"],
        fit=Fit(given["fit"]) if given["fit"] else None,
        dpi=given["dpi"],
        frames=given["frames"],
        exif=given["exif"],
        columns=tuple(map(parse_column, given["columns"])),
        path_column=given["path_column"],
        label_column=given["label_column"],
        caption_column=given["caption_column"],
        root=given["root"],
        nul=given["nul"],
        storage=dict(map(parse_pair, given["storage"])),
    )


def parse_column(text: str) -> PropertyColumn:
    """`price`, `price:number`, `Price (EUR)=price:number`. Raises InputError."""
    words, colon, kind = text.rpartition(":")
    if not colon or kind not in ("text", "int", "number", "boolean", "date"):
        words, kind = text, ""
    name, _, own = words.rpartition("=")
    if not own:
        raise InputError(f"--property {text!r}: write COLUMN[=NAME][:TYPE], for example price:number")
    check_property(text, name or own, own)
    return PropertyColumn(name or own, own, kind)


def check_property(text: str, name: str, own: str) -> None:
    """Better told once than for every image."""
    try:
        if own not in METADATA_PROPERTIES:
            property_name(own)
    except InputError as error:
        raise InputError(
            f"--property {text!r}: no property of yours can be called {own!r}; give it another name, "
            f"--property {name!r}=my_name"
        ) from error


def parse_pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--storage {text!r}: write KEY=VALUE, for example endpoint_url=http://localhost:9000")
    return name, value
