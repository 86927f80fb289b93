"""From the words of a command to the job that they add up to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clip_vectorizer.connection import Connection
from clip_vectorizer.errors import InputError
from clip_vectorizer.schema import METADATA, property_name
from ingest.items import Fit
from ingest.job import Job
from ingest.listing import Selection, Shard
from ingest.pipeline import IngestSettings
from ingest.prepare import PrepareSettings
from ingest.prune import PruneLimit, check_prune
from ingest.report_file import Failed
from ingest.sources.base import Column, SourceOptions
from ingest.store import Keep


def job_of(sources: Sequence[str], **given: Any) -> Job:
    """Raises InputError for what cannot be or does not go together."""
    failed = Failed.read(given["retry_failed"]) if given["retry_failed"] else None
    shard = Shard.parse(given["shard"]) if given["shard"] else None
    selection = Selection(sound_prefix(given["prefix"]), shard, given["limit"])
    prune = prune_limit(given["prune"], given["prune_limit"])
    if prune:
        check_prune(selection, retry=failed is not None)
    if failed:
        selection = replace(selection, only=failed.has)
        sources = sources or failed.sources
    keep = Keep(given["keep"]) if given["keep"] else None
    alike_bits = given["alike_bits"]
    return Job(
        sources=sources,
        connection=connection_of(given),
        options=source_options(given),
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


def sound_prefix(prefix: str) -> str:
    try:
        prefix.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"--prefix {prefix!r}: not UTF-8 text; take other letters, or a terminal set to UTF-8"
        ) from error
    return prefix


def prune_limit(asked: bool, limit: str | None) -> PruneLimit | None:
    if limit and not asked:
        raise InputError(f"--prune-limit {limit} removes nothing by itself; add --prune")
    return PruneLimit.parse(limit or "10%") if asked else None


def connection_of(given: dict[str, Any]) -> Connection:
    return Connection(
        given["weaviate_url"],
        given["weaviate_grpc_port"],
        given["weaviate_api_key"],
        given["vectorizer_url"],
        given["vectorizer_api_key"],
    )


def source_options(given: dict[str, Any]) -> SourceOptions:
    return SourceOptions(
        ignore=given["ignore"],
        hidden=given["hidden"],
        fit=Fit(given["fit"]) if given["fit"] else None,
        dpi=given["dpi"],
        frames=given["frames"],
        exif=given["exif"],
        columns=tuple(map(column, given["columns"])),
        path_column=given["path_column"],
        label_column=given["label_column"],
        caption_column=given["caption_column"],
        root=given["root"],
        nul=given["nul"],
        storage=dict(map(pair, given["storage"])),
    )


def column(text: str) -> Column:
    """`price`, `price:number`, `Price (EUR)=price:number`. Raises InputError."""
    words, colon, kind = text.rpartition(":")
    if not colon or kind not in ("text", "int", "number", "boolean", "date"):
        words, kind = text, ""
    name, _, own = words.rpartition("=")
    if not own:
        raise InputError(f"--property {text!r}: write COLUMN[=NAME][:TYPE], for example price:number")
    check_property(text, name or own, own)
    return Column(name or own, own, kind)


def check_property(text: str, name: str, own: str) -> None:
    """Better told once than for every image."""
    try:
        if own not in METADATA:
            property_name(own)
    except InputError as error:
        raise InputError(
            f"--property {text!r}: no property of yours can be called {own!r}; give it another name, "
            f"--property {name!r}=my_name"
        ) from error


def pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--storage {text!r}: write KEY=VALUE, for example endpoint_url=http://localhost:9000")
    return name, value
