"""Labelled images: a folder with a subfolder for every label, a table, a Parquet file, or a collection in Weaviate."""

from collections.abc import Iterator
from pathlib import Path

from clip_vectorizer.errors import InputError
from clip_vectorizer.image_files import is_image_file
from clip_vectorizer.training.captioned_images import (
    CaptionColumns,
    is_table,
    list_table,
    require_source,
    walk_files,
)
from clip_vectorizer.training.contrastive_plan import is_collection
from clip_vectorizer.training.image_copies import SourceImage
from clip_vectorizer.training.parquet_images import is_parquet, read_parquet_images
from clip_vectorizer.training.probe_plan import ProbePlan

LABEL_COLUMNS = ("label", "class", "category", "labels", "target")
LABEL = "label"  # the property of a collection
LABELLED_SOURCES = (
    "name a folder with a subfolder of images for every label, a table (.csv, .tsv, .jsonl, .parquet), or a collection "
    "(weaviate:Image)"
)


def read_labelled_images(plan: ProbePlan, source: Path) -> Iterator[SourceImage]:
    """Yield images with one caption each, the label, in the same order every time.

    Raises InputError for a source without labels, and for an image with several.
    """
    for image in read_source_images(plan, source):
        if len(image.captions) > 1:
            raise InputError(f"{source}: {image.key} has the labels {', '.join(image.captions)}; a probe takes one")
        if image.captions:
            yield image


def read_source_images(plan: ProbePlan, source: Path) -> Iterator[SourceImage]:
    columns = CaptionColumns(plan.path_column, plan.label_column, LABEL_COLUMNS, "--label-column")
    if is_collection(source):
        return read_labelled_collection(plan, source)
    if require_source(source).is_dir():
        return list_label_folders(source)
    if is_parquet(source):
        return read_parquet_images(source, columns)
    if is_table(source):
        return (SourceImage(image.key, image.captions, image.file) for image in list_table(source, columns).images)
    raise InputError(f"{source} is none of the sources of labelled images; {LABELLED_SOURCES}")


def list_label_folders(folder: Path) -> Iterator[SourceImage]:
    """Images right under `folder` have no label."""
    for file in sorted(file for file in walk_files(folder) if is_image_file(file) and file.parent != folder):
        yield SourceImage(file.relative_to(folder).as_posix(), (file.parent.name,), file)


def read_labelled_collection(plan: ProbePlan, source: Path) -> Iterator[SourceImage]:
    from clip_vectorizer.database.connection import ConnectionSettings  # weaviate-client takes a second
    from clip_vectorizer.training.stored_images import CollectionSource, parse_collection, read_stored_images

    connection = ConnectionSettings(plan.weaviate_url, plan.weaviate_grpc_port, plan.weaviate_api_key)
    label = plan.label_column or LABEL
    return read_stored_images(
        CollectionSource(parse_collection(source), connection, plan.tenant, label, "--label-column")
    )
