"""What goes into Weaviate and comes out of it. D dimensions"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from weaviate.classes.data import DataObject
from weaviate.collections.classes.types import WeaviateField

from clip_vectorizer import schema
from clip_vectorizer.identity import Description
from clip_vectorizer.vectors import Vectors, unit
from ingest.columns import Columns
from ingest.facts import digest
from ingest.items import Amendment, Facts, Fit, Held, ImageObject, UnusableFile
from ingest.store import Keep, Refusal

COMPARED = [schema.PATH, schema.SHA256, schema.FIT, schema.STAMP, schema.FACTS, schema.SOURCE, schema.PHASH]

Properties = dict[str, WeaviateField]
NewObject = DataObject[Properties, None]

Change = TypeVar("Change", ImageObject, Amendment)
Made = TypeVar("Made")


def each_made(changes: Sequence[Change], make: Callable[[Change], Made]) -> tuple[dict[str, Made], dict[str, Refusal]]:
    """By key: what `make` makes of each, and why it cannot."""
    made: dict[str, Made] = {}
    refused: dict[str, Refusal] = {}
    for change in changes:
        try:
            made[change.key] = make(change)
        except UnusableFile as problem:
            refused[change.key] = Refusal(str(problem))
    return made, refused


def data_object(item: ImageObject, description: Description, columns: Columns) -> NewObject:
    """Raises UnusableFile where its metadata does not fit."""
    vectors = vectors_of(item, description)
    properties = properties_of(item, description, columns)
    return DataObject(uuid=schema.image_id(item.key), properties=properties, vector=vectors or None)


def properties_of(item: ImageObject, description: Description, columns: Columns) -> Properties:
    """The image only where it is kept, or where Weaviate has to make the vector."""
    properties: Properties = facts_of(item.facts, columns) | {
        schema.PATH: item.key,
        schema.FILENAME: item.key.rpartition("/")[2],
        schema.SIZE: item.size,
        schema.MIME: item.mime,
        schema.MODEL: description.model.model,
        schema.SOURCE: item.source,
        schema.STAMP: item.stamp,
        schema.FIT: str(item.fit),
    }
    if description.keep != Keep.NONE:
        properties[schema.SHA256] = item.sha256
    if description.keep == Keep.FULL or item.vector_d is None:
        properties[schema.IMAGE] = base64_of(item.image)
    if item.thumbnail:
        properties[schema.THUMBNAIL] = base64_of(item.thumbnail)
    return properties | {
        name: value for name, value in ((schema.PHASH, item.phash), (schema.DUPLICATE_OF, item.duplicate_of)) if value
    }


def facts_of(facts: Facts, columns: Columns) -> Properties:
    known: Properties = {schema.LABEL: facts.label, schema.CAPTION: facts.caption, schema.FACTS: digest(facts)}
    return columns.properties(facts.metadata) | known


def changes_of(amendment: Amendment, columns: Columns) -> Properties:
    """Raises UnusableFile as above."""
    changes: Properties = {schema.SOURCE: amendment.source, schema.STAMP: amendment.stamp}
    if amendment.phash:
        changes[schema.PHASH] = amendment.phash
    return changes if amendment.facts is None else facts_of(amendment.facts, columns) | changes


def vectors_of(item: ImageObject, description: Description) -> dict[str, Sequence[float]]:
    """By name. A vector that is given is not made by Weaviate; one that is neither given nor made is an error of it."""
    vectors = {name: stand_in(item.sha256, size).tolist() for name, size in description.retired.items()}
    if item.vector_d is not None:
        vectors[description.vector] = item.vector_d.tolist()
    return vectors


def stand_in(sha256: str, dimension: int) -> Vectors:
    """(D,) unit, the same for equal images, for a vector that nobody searches any more but Weaviate wants.

    Random directions: equal ones would make its graph one clump, where each insertion looks at all others.
    """
    random = np.random.default_rng(int(sha256[:16], 16))
    return unit(random.standard_normal(dimension).astype(np.float32))


def held_of(properties: Mapping[str, WeaviateField]) -> Held:
    """An object of an earlier version lacks some: it was cropped, and its stamp and source are unknown."""
    sha256, fit, stamp, facts, source, phash = (str(properties.get(name) or "") for name in COMPARED[1:])
    return Held(sha256, fit or str(Fit.CROP), stamp, facts, source, phash)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
