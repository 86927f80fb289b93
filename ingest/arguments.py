"""From the options of `clip-ingest` to the job to run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.database.schema import METADATA_PROPERTIES, property_name
from clip_vectorizer.errors import InputError
from ingest.choices import Fit, Keep
from ingest.job import IngestJob, ReindexJob
from ingest.listing import Selection, Shard
from ingest.pipeline import IngestSettings
from ingest.prepare import PrepareSettings
from ingest.prune import PruneLimit, check_prune
from ingest.report import FailedItems
from ingest.sources.base import PdfPassword, PropertyColumn, SourceOptions


def build_job(sources: Sequence[str], **values: Any) -> IngestJob | ReindexJob:
    """`values`: the command's options. Raises InputError for values that cannot be used."""
    return build_reindex_job(sources, values) if values["reindex"] else build_ingest_job(sources, values)


def build_reindex_job(sources: Sequence[str], values: Mapping[str, Any]) -> ReindexJob:
    return ReindexJob(
        sources=sources,
        connection=build_connection(values),
        options=build_source_options(values),
        settings=IngestSettings(
            workers=values["workers"],
            selection=Selection(check_prefix(values["prefix"])),
            patience_seconds=values["patience"],
        ),
        collection=values["collection"],
        tenant=values["tenant"],
        inference_url=values["inference_url"],
        dry_run=values["dry_run"],
    )


def build_ingest_job(sources: Sequence[str], values: Mapping[str, Any]) -> IngestJob:
    failed = FailedItems.read(values["retry_failed"]) if values["retry_failed"] else None
    shard = Shard.parse(values["shard"]) if values["shard"] else None
    selection = Selection(check_prefix(values["prefix"]), shard, values["limit"])
    prune = PruneLimit.parse(values["prune_limit"]) if values["prune"] else None
    if prune:
        check_prune(selection, retry=failed is not None)
    if failed:
        selection = replace(selection, only=failed.has)
        sources = sources or failed.sources
    hash_distance = values["hash_distance"]
    return IngestJob(
        sources=sources,
        connection=build_connection(values),
        options=build_source_options(values),
        settings=IngestSettings(
            workers=values["workers"],
            prepare=PrepareSettings(near_duplicates=hash_distance is not None, take_over=values["take_over"]),
            selection=selection,
            checksum=values["checksum"],
            patience_seconds=values["patience"],
            verify=not values["dry_run"],
        ),
        collection=values["collection"],
        tenant=values["tenant"],
        keep=Keep(values["keep"]) if values["keep"] else None,
        embed_here=values["embed"] == "client",
        quantizer=values["quantizer"],
        prune=prune,
        hash_distance=hash_distance,
        dry_run=values["dry_run"],
        watch=values["watch"],
    )


def check_prefix(prefix: str) -> str:
    try:
        prefix.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"--prefix {prefix!r}: not UTF-8 text; use other letters, or set the terminal to UTF-8"
        ) from error
    return prefix


def build_connection(values: Mapping[str, Any]) -> ConnectionSettings:
    return ConnectionSettings(
        values["weaviate_url"],
        values["weaviate_grpc_port"],
        values["weaviate_api_key"],
        values["vectorizer_url"],
        values["vectorizer_api_key"],
    )


def build_source_options(values: Mapping[str, Any]) -> SourceOptions:
    return SourceOptions(
        ignore=values["ignore"],
        hidden=values["hidden"],
        fit=Fit(values["fit"]) if values["fit"] else None,
        dpi=values["dpi"],
        pdf_passwords=tuple(map(parse_password, values["pdf_passwords"])),
        frames=values["frames"],
        exif=values["exif"],
        columns=tuple(map(parse_column, values["columns"])),
        path_column=values["path_column"],
        label_column=values["label_column"],
        caption_column=values["caption_column"],
        root=values["root"],
        nul=values["nul"],
        storage=dict(map(parse_pair, values["storage"])),
    )


def parse_password(text: str) -> PdfPassword:
    if not text:
        raise InputError("--pdf-password is empty (an unset variable?); remove it, or name a password")
    return PdfPassword(text)


def parse_column(text: str) -> PropertyColumn:
    """`price`, `price:number`, `Price (EUR)=price:number`. Raises InputError."""
    names, colon, kind = text.rpartition(":")
    if not colon or kind not in ("text", "int", "number", "boolean", "date"):
        names, kind = text, ""
    column, _, name = names.rpartition("=")
    if not name:
        raise InputError(f"--property {text!r}: write COLUMN[=NAME][:TYPE], for example price:number")
    check_property(text, column or name, name)
    return PropertyColumn(column or name, name, kind)


def check_property(option: str, column: str, name: str) -> None:
    """Raises InputError once, instead of one failure per image."""
    try:
        if name not in METADATA_PROPERTIES:
            property_name(name)
    except InputError as error:
        raise InputError(
            f"--property {option!r}: {name!r} cannot be the name of a property; rename it, "
            f"--property {column!r}=my_name"
        ) from error


def parse_pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--storage {text!r}: write KEY=VALUE, for example endpoint_url=http://localhost:9000")
    return name, value
