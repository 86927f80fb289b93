"""The collection of regions: boxes in stored images, each with the vector of its crop in the images' space.

`ImageRegion` belongs to the collection `Image`, and so on. Its objects name their image by its path: Weaviate advises
against cross-references, which are slow. `ingest` writes them and `query` reads them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import uuid4

from weaviate import WeaviateClient
from weaviate.classes.config import Configure, DataType, Property, Tokenization
from weaviate.collections.classes.config_vectors import VectorConfigCreate
from weaviate.util import generate_uuid5

from clip_vectorizer.database.collections import (
    CollectionState,
    add_missing_properties,
    build_index,
    build_state,
    create_collection,
)
from clip_vectorizer.database.schema import (
    CAPTION,
    LABEL,
    MODEL,
    PATH,
    SOURCE,
    CollectionDescription,
    StoredModel,
    exact_text_property,
)
from clip_vectorizer.errors import InputError, Mismatch

SUFFIX = "Region"
REGION_COLLECTION = "ImageRegion"  # also the namespace of ids, in every collection

X0, Y0, X1, Y1 = BOX = ("x0", "y0", "x1", "y1")  # shares of the upright picture's width and height, from its top left
AREA = "area"  # share of the picture's area
OBJECTNESS = "objectness"  # 0..1: how likely the box has one whole thing; none for a grid
RANK = "rank"  # from 0: the order in which the method gave them
METHOD = "method"  # grid, corners, objects, boxes, owlv2
CORNER = "corner"  # of the method corners: top-left, top-right, bottom-left, bottom-right
LINE_GRID = "line_grid"  # of the method corners: where its rules are (images/line_grid.py), as text
CROP = "crop"  # blob, always empty: what Weaviate's module would embed, if it were not given a vector
NUMBERS = (*BOX, AREA, OBJECTNESS)
COPIED = (LABEL, CAPTION, SOURCE)  # from the image, so that a filter needs no join

ID_STEPS = 1000  # boxes that are equal in thousandths are one region


@dataclass(frozen=True, slots=True)
class RegionDescription:
    """What the collection records, as JSON in its description, besides the model as every collection does."""

    images: str  # the collection that the boxes are in
    born: str  # differs for every collection ever made: what an image records about regions of an older one is void

    @classmethod
    def from_json(cls, text: str | None) -> "RegionDescription | None":
        """None if it was not written by `write_description`."""
        try:
            values = json.loads(text or "")
            return cls(str(values["regions_of"]), str(values["born"]))
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class RegionCollectionState:
    """A collection of regions, as it is on the server."""

    name: str
    born: str
    stored: CollectionState

    @property
    def model(self) -> StoredModel:
        return self.stored.description.model

    @property
    def vector(self) -> str:
        return self.stored.description.vector


def name_region_collection(images: str) -> str:
    """The collection of the regions of `images`.

    >>> name_region_collection("Image")
    'ImageRegion'
    """
    return images + SUFFIX


def region_id(path: str, method: str, box: Sequence[float]) -> str:
    """The UUID of a region; boxes that differ by less than a thousandth of a side are one.

    >>> region_id("a.png", "grid", (0, 0, 0.5, 1)) == region_id("a.png", "grid", (0, 0, 0.5004, 1))
    True
    """
    corners = [round(ID_STEPS * value) for value in box]
    return str(generate_uuid5(json.dumps([path, method, corners]), REGION_COLLECTION))


def region_properties() -> list[Property]:
    numbers = [Property(name=name, data_type=DataType.NUMBER, index_range_filters=True) for name in NUMBERS]
    return [
        *numbers,
        Property(name=CROP, data_type=DataType.BLOB),
        Property(name=RANK, data_type=DataType.INT, index_range_filters=True),
        Property(name=CAPTION, data_type=DataType.TEXT, tokenization=Tokenization.WORD),
        Property(name=METHOD, data_type=DataType.TEXT, tokenization=Tokenization.WORD, index_searchable=False),
        *(exact_text_property(name) for name in (PATH, LABEL, SOURCE, MODEL, CORNER)),
        line_grid_property(),
    ]


def line_grid_property() -> Property:
    """Read and compared by this project; never in a filter."""
    return Property(
        name=LINE_GRID,
        data_type=DataType.TEXT,
        tokenization=Tokenization.FIELD,
        index_searchable=False,
        index_filterable=False,
    )


def write_description(images: str, model: StoredModel, vector: str) -> str:
    """The description of a new collection: the fields of `CollectionDescription`, and those of this module."""
    values = asdict(CollectionDescription(model, "none", vector))
    return json.dumps(values.pop("model") | values | {"regions_of": images, "born": uuid4().hex}, ensure_ascii=False)


def find_region_collection(client: WeaviateClient, images: str) -> RegionCollectionState | None:
    """The collection of the regions of `images`, or None. Raises Mismatch for another collection of that name."""
    name = name_region_collection(images)
    if not client.collections.exists(name):
        return None
    config = client.collections.use(name).config.get()
    ours, description = (
        RegionDescription.from_json(config.description),
        CollectionDescription.from_json(config.description),
    )
    if ours is None or description is None or ours.images != images:
        raise Mismatch(
            f"the collection {name} has no regions of {images}: something else made it; ingest the images to another "
            f"collection (--collection {images}2)"
        )
    return RegionCollectionState(name, ours.born, build_state(config, description))


def check_region_model(found: RegionCollectionState, images: str, model: StoredModel, vector: str) -> None:
    """Raise Mismatch if the regions have other vectors than the images, which may have moved to another model."""
    if not found.model.agrees_with(model) or found.vector != vector:
        raise Mismatch(
            f"the regions of {images} have the vector {found.vector} of the model {found.model}, and its images the "
            f"vector {vector} of {model}; "
            f"delete the regions (curl -X DELETE $WEAVIATE_URL/v1/schema/{found.name}), then make them again: "
            "clip-ingest SOURCE --regions METHOD"
        )


def ensure_region_collection(client: WeaviateClient, images: str, stored: CollectionState) -> RegionCollectionState:
    """Create the collection of regions as `images` is, or check the existing one.

    `stored`: the state of `images`. The same model, named vector, tenants, replication and quantizer. Raises Mismatch
    (another model, another collection of that name).
    """
    model, vector = stored.description.model, stored.description.vector
    if find_region_collection(client, images) is None:
        replication = client.collections.use(images).config.get().replication_config
        tenancy = Configure.multi_tenancy(auto_tenant_creation=True, auto_tenant_activation=True)
        create_collection(
            client,
            name_region_collection(images),
            description=write_description(images, model, vector),
            properties=region_properties(),
            vector_config=[configure_vector(stored)],
            multi_tenancy_config=tenancy if stored.tenants else None,
            replication_config=Configure.replication(
                factor=replication.factor, deletion_strategy=replication.deletion_strategy
            ),
        )
    found = find_region_collection(client, images)
    if found is None:
        raise InputError(f"the collection {name_region_collection(images)} was removed meanwhile; run this again")
    check_region_model(found, images, model, vector)
    added = add_missing_properties(client, found.name, found.stored, region_properties())  # of an earlier version
    return (find_region_collection(client, images) or found) if added else found


def configure_vector(stored: CollectionState) -> VectorConfigCreate:
    """The named vector as in the images' collection. Its module embeds texts of searches, never a region."""
    name, index = stored.description.vector, build_index(stored.quantizer)
    vector: VectorConfigCreate = (
        Configure.Vectors.multi2vec_clip(
            name=name, image_fields=[CROP], inference_url=stored.inference_url, vector_index_config=index
        )
        if stored.by_module
        else Configure.Vectors.self_provided(name=name, vector_index_config=index)
    )
    return vector
