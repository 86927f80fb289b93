"""Opens what a training learns from: a folder, a table, shards, a Parquet file, or a collection in Weaviate."""

from collections.abc import Iterator
from pathlib import Path

from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.training.captioned_images import (
    CaptionColumns,
    CaptionedListing,
    check_listing,
    list_captioned_images,
    require_source,
)
from clip_vectorizer.training.contrastive_plan import COPY, VALIDATION_COPY, ContrastivePlan, is_collection
from clip_vectorizer.training.image_copies import SourceImage, copy_images, is_copied, read_copy
from clip_vectorizer.training.parquet_images import is_parquet, read_parquet_images


def open_source(plan: ContrastivePlan, progress: StepProgress = SILENT, is_copying: bool = True) -> CaptionedListing:
    """List the captioned images of `plan.source`; images that are no files are copied into the output first.

    `is_copying`: whether to make the copy, unless a continued training has it. Raises InputError, Mismatch,
    WeaviateUnreachable, OSError.
    """
    return open_captioned_images(plan, plan.source, plan.work / COPY, progress, is_copying)


def open_validation(
    plan: ContrastivePlan, source: Path, progress: StepProgress = SILENT, is_copying: bool = True
) -> CaptionedListing:
    """As `open_source`, for images of their own to validate with."""
    return open_captioned_images(plan, source, plan.work / VALIDATION_COPY, progress, is_copying)


def open_captioned_images(
    plan: ContrastivePlan, source: Path, folder: Path, progress: StepProgress, is_copying: bool
) -> CaptionedListing:
    columns = CaptionColumns(plan.path_column, plan.caption_column)
    if not is_collection(source) and not is_parquet(source):
        return list_captioned_images(source, columns)
    if is_copied(folder) and (plan.resume or not is_copying):
        return read_copy(folder)
    progress.step(f"copying the images of {source}")
    images = (
        read_collection_images(plan, source)
        if is_collection(source)
        else read_parquet_images(require_source(source), columns)
    )
    return check_listing(source, copy_images(images, folder, progress))


def read_collection_images(plan: ContrastivePlan, source: Path) -> Iterator[SourceImage]:
    from clip_vectorizer.database.connection import ConnectionSettings  # weaviate-client takes a second
    from clip_vectorizer.training.stored_images import CollectionSource, parse_collection, read_stored_images

    connection = ConnectionSettings(plan.weaviate_url, plan.weaviate_grpc_port, plan.weaviate_api_key)
    return read_stored_images(CollectionSource(parse_collection(source), connection, plan.tenant, plan.caption_column))
