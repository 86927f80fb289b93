"""The names in Weaviate: collections, vectors, properties, ids, of images, labels, label sets and predictions; and the
model that a collection records: what must agree before vectors may be compared.

`ingest` writes them and `query` reads them; collections.py creates and checks the collections.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol
from uuid import NAMESPACE_DNS

from weaviate.classes.config import DataType, Property, Tokenization

from clip_vectorizer.defaults import IMAGE_COLLECTION
from clip_vectorizer.errors import InputError

LABEL_COLLECTION = "ImageLabel"
LABEL_SET_COLLECTION = "ImageLabelSet"
VECTOR = "clip"  # the named vector that every collection begins with, until `clip-ingest --reindex` gives it another

# Properties of IMAGE_COLLECTION
IMAGE = "image"  # blob: the original file's bytes, standard base64, or only a hash of it; the vector's only field
THUMBNAIL = "thumbnail"  # blob: a small JPEG
PATH = "path"  # relative to the source's root, with forward slashes: the key of the object's UUID
FILENAME = "filename"
LABEL = "label"  # the folder's name
CAPTION = "caption"  # from a .txt next to the image
SHA256 = "sha256"  # hex digest of the original bytes
SIZE = "size"  # bytes
MIME = "mime"
MODEL = "model"  # the model that made the vector
SOURCE = "source"  # the folder, archive, table or address it came from
STAMP = "stamp"  # changes when the file does
FACTS = "facts"  # digest of label, caption and metadata
FIT = "fit"  # how it was fitted into the model's square
DUPLICATE_OF = "duplicate_of"  # the path of an equal image
PHASH = "phash"  # perceptual hash, 16 hex digits
DAMAGED = "damaged"  # true if part of the file could not be decoded
REINDEXED = "reindexed"  # the vector that `--reindex` gave it
REGIONS = "regions"  # what its regions were made of: they are complete where it is there

# What `clip-classify --save` stores with an image
PREDICTED_LABEL = "predicted_label"
PREDICTED_SCORE = "predicted_score"
PREDICTED_MARGIN = "predicted_margin"
PREDICTED_RUNNER_UP = "predicted_runner_up"
PREDICTED_BY = "predicted_by"  # the labels that competed: a set's name and digest

# What `clip-caption` stores with an image
PREDICTED_CAPTION = "predicted_caption"  # searched by words, as captions are
CAPTION_BY = "caption_by"  # the way, the model and its revision: an equal value means that it need not be done again

# Metadata with names of its own
PAGE = "page"  # from 1
TAKEN_AT = "taken_at"
CAMERA = "camera"
LOCATION = "location"

# Of pages of PDF files (ingest/sources/page_facts.py). They become properties with the first page.
INK = "ink"  # share of dark pixels, 0..1
PATH_SEGMENTS = "path_segments"  # lines and curves that are drawn as such; none on a scan
CHARACTERS = "characters"  # of the text layer
EMBEDDED_IMAGES = "embedded_images"
PAGE_WIDTH, PAGE_HEIGHT = "page_width", "page_height"  # points, 1/72 inch, as the page is seen
BLOCK_TEXT = "block_text"  # words of the text layer at the lower right, where drawings have their title block

EXACT_TEXT_PROPERTIES = (
    PATH,
    FILENAME,
    LABEL,
    SHA256,
    MIME,
    MODEL,
    SOURCE,
    STAMP,
    FACTS,
    FIT,
    DUPLICATE_OF,
    PHASH,
    REINDEXED,
    REGIONS,
)
PAGE_FACT_PROPERTIES = (INK, PATH_SEGMENTS, CHARACTERS, EMBEDDED_IMAGES, PAGE_WIDTH, PAGE_HEIGHT, BLOCK_TEXT)
METADATA_PROPERTIES = (PAGE, TAKEN_AT, CAMERA, LOCATION)
PREDICTION_PROPERTIES = (PREDICTED_LABEL, PREDICTED_SCORE, PREDICTED_MARGIN, PREDICTED_RUNNER_UP, PREDICTED_BY)
CAPTION_PROPERTIES = (PREDICTED_CAPTION, CAPTION_BY)
# Metadata must not overwrite these
OWN_PROPERTIES = frozenset(
    (IMAGE, THUMBNAIL, CAPTION, SIZE, DAMAGED, *EXACT_TEXT_PROPERTIES, *PREDICTION_PROPERTIES, *CAPTION_PROPERTIES)
)
RESERVED_PROPERTIES = frozenset(("id", "_id", "vector", "_additional"))  # Weaviate's own

UNFILTERED_PROPERTIES = (STAMP, FACTS, FIT, REGIONS)  # read and compared by this project; never in a filter

ID_NAMESPACE = NAMESPACE_DNS.bytes + IMAGE_COLLECTION.encode()
COLLECTION_NAME = re.compile(r"[A-Z][_0-9A-Za-z]*")
TENANT_NAME = re.compile(r"[-_0-9A-Za-z]{1,64}")
MAX_PROPERTY_LENGTH = 200  # Weaviate accepts 231

# Properties of LABEL_COLLECTION, besides LABEL and MODEL
LABEL_SET = "label_set"  # names the labels that compete in one classification
PROMPTS = "prompts"  # text[]: what was averaged into the vector
PROMPT_SET = "prompt_set"  # the name of the templates
PROMPT_VERSION = "prompt_version"  # and their digest

# Properties of LABEL_SET_COLLECTION, besides MODEL, PROMPT_SET and PROMPT_VERSION
NAME = "name"
REVISION = "revision"  # of the model
TEMPLATES = "templates"  # text[]; none where each label has those of its language
ENTRIES = "said"  # text[]: the labels as they were given, with descriptions
LABEL_IDS = "label_ids"  # text[]: their objects, in the same order


def image_id(path: str) -> str:
    """The UUID of the image at `path`, the same in every collection.

    `generate_uuid5(path, IMAGE_COLLECTION)` of weaviate-client (RFC 9562, version 5), several times faster: a second
    run over unchanged files does little else.

    >>> image_id("cats/1.jpg") == generate_uuid5("cats/1.jpg", IMAGE_COLLECTION)
    True
    """
    name = hashlib.sha1(ID_NAMESPACE, usedforsecurity=False)
    name.update(path.encode())
    digits = name.hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def check_collection_name(collection: str) -> None:
    if not COLLECTION_NAME.fullmatch(collection):
        raise InputError(
            f"{collection!r} cannot name a collection; take a capital letter, then letters, digits or _, "
            f"for example {IMAGE_COLLECTION}2"
        )


def check_tenant_name(tenant: str) -> None:
    if not TENANT_NAME.fullmatch(tenant):
        raise InputError(f"{tenant!r} cannot name a tenant; take up to 64 letters, digits, _ or -")


def property_name(column: str) -> str:
    """The name of a column's property. Raises InputError for a name that is empty then, or already in use.

    >>> property_name("Brand name")
    'brand_name'
    """
    name = re.sub(r"[^_0-9A-Za-z]+", "_", column).strip("_")[:MAX_PROPERTY_LENGTH]
    name = f"_{name}" if name[:1].isdigit() else name[:1].lower() + name[1:]
    if not name:
        raise InputError(f"the column {column!r} cannot name a property; give it one, --property {column}=my_name")
    if name in OWN_PROPERTIES or name in RESERVED_PROPERTIES:
        raise InputError(
            f"the column {column!r} would overwrite the property {name}; "
            f"give it another name, --property {column}=my_{name}"
        )
    return name


def image_properties(image_type: DataType = DataType.BLOB) -> list[Property]:
    """All properties but a user's own. `image_type` BLOB stores the image, BLOB_HASH a hash that shows changes."""
    return [
        Property(name=IMAGE, data_type=image_type),
        Property(name=THUMBNAIL, data_type=DataType.BLOB),
        Property(name=CAPTION, data_type=DataType.TEXT, tokenization=Tokenization.WORD),
        Property(name=SIZE, data_type=DataType.INT, index_range_filters=True),
        Property(name=DAMAGED, data_type=DataType.BOOL),
        Property(name=PAGE, data_type=DataType.INT, index_range_filters=True),
        Property(name=TAKEN_AT, data_type=DataType.DATE, index_range_filters=True),
        Property(name=LOCATION, data_type=DataType.GEO_COORDINATES),
        *(exact_text_property(name) for name in (*EXACT_TEXT_PROPERTIES, CAMERA)),
    ]


def user_property(name: str, data_type: DataType) -> Property:
    """A user's own column. Text is searched by words (BM25) and can be filtered too."""
    if data_type is DataType.TEXT:
        return Property(name=name, data_type=data_type, tokenization=Tokenization.WORD)
    ranges = True if data_type in (DataType.INT, DataType.NUMBER, DataType.DATE) else None
    return Property(name=name, data_type=data_type, index_range_filters=ranges)


def exact_text_property(name: str) -> Property:
    """Text that is filtered by its whole value, not searched by words. An unused index slows every insert."""
    return Property(
        name=name,
        data_type=DataType.TEXT,
        tokenization=Tokenization.FIELD,
        index_searchable=False,
        index_filterable=name not in UNFILTERED_PROPERTIES,
    )


def prediction_properties() -> list[Property]:
    """Added to a collection when a classification is first saved."""
    numbers = (PREDICTED_SCORE, PREDICTED_MARGIN)
    return [
        *(exact_text_property(name) for name in PREDICTION_PROPERTIES if name not in numbers),
        *(Property(name=name, data_type=DataType.NUMBER, index_range_filters=True) for name in numbers),
    ]


def caption_properties() -> list[Property]:
    """Added to a collection when a caption is first written."""
    words = Property(name=PREDICTED_CAPTION, data_type=DataType.TEXT, tokenization=Tokenization.WORD)
    return [words, exact_text_property(CAPTION_BY)]


def label_properties() -> list[Property]:
    return [
        text_list_property(PROMPTS),
        *(exact_text_property(name) for name in (LABEL, LABEL_SET, MODEL, PROMPT_SET, PROMPT_VERSION)),
    ]


def label_set_properties() -> list[Property]:
    return [
        *(text_list_property(name) for name in (TEMPLATES, ENTRIES, LABEL_IDS)),
        *(exact_text_property(name) for name in (NAME, MODEL, REVISION, PROMPT_SET, PROMPT_VERSION)),
    ]


def text_list_property(name: str) -> Property:
    """A list of whole values, never used in a filter."""
    return Property(
        name=name,
        data_type=DataType.TEXT_ARRAY,
        tokenization=Tokenization.FIELD,
        index_filterable=False,
        index_searchable=False,
    )


class ModelIdentity(Protocol):
    """The fields of a model (`ModelInfo`, `/meta`) that its vectors depend on."""

    @property
    def model(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def preprocessing(self) -> str: ...


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The model that made a collection's vectors. `model` is its name then; the other fields decide."""

    model: str
    revision: str
    dimension: int
    preprocessing: str

    @classmethod
    def of(cls, info: ModelIdentity) -> "StoredModel":
        return cls(info.model, info.revision, info.dimension, info.preprocessing)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "StoredModel":
        """Raises KeyError, TypeError or ValueError where `values` describe no model."""
        model, revision, preprocessing = (str(values[name]) for name in ("model", "revision", "preprocessing"))
        return cls(model, revision, int(values["dimension"]), preprocessing)

    def agrees_with(self, info: ModelIdentity) -> bool:
        """Whether both make the same vectors. Equal revisions are equal weights, under any name."""
        return self.vector_space == StoredModel.of(info).vector_space

    @property
    def vector_space(self) -> tuple[str, int, str]:
        return self.revision, self.dimension, self.preprocessing

    @property
    def own_vector(self) -> str:
        """A name for this model's vectors in a collection that has vectors of another model."""
        space = json.dumps(self.vector_space).encode()
        return f"{VECTOR}_{hashlib.blake2b(space, digest_size=4).hexdigest()}"

    def __str__(self) -> str:
        return f"{self.model} (revision {self.revision}, {self.dimension} dimensions, {self.preprocessing})"


@dataclass(frozen=True, slots=True)
class CollectionDescription:
    """The metadata of a collection: one JSON object, stored as the collection's description in Weaviate."""

    model: StoredModel  # made the vectors that are searched
    keep: str = (
        "full"  # what is stored of an image; `full` is the default of collections from before there was a choice
    )
    vector: str = VECTOR  # the named vector that is searched
    retired: Mapping[str, int] = field(default_factory=dict)  # vectors of earlier models: dimensions by name
    moving_to: StoredModel | None = None  # the model whose vectors are being added to the present ones
    beside: Mapping[str, StoredModel] = field(default_factory=dict)  # further models, by the vectors that they made

    @classmethod
    def from_json(cls, text: str | None) -> "CollectionDescription | None":
        """Parse a description; None if it was not written by `to_json`. Missing fields get their defaults."""
        try:
            values = json.loads(text or "")
            moving_to = values.get("moving_to")
            return cls(
                StoredModel.from_values(values),
                str(values.get("keep", "full")),
                str(values.get("vector", VECTOR)),
                {str(name): int(dimension) for name, dimension in values.get("retired", {}).items()},
                StoredModel.from_values(moving_to) if moving_to else None,
                {str(name): StoredModel.from_values(each) for name, each in values.get("beside", {}).items()},
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def to_json(self) -> str:
        """A flat object, the model's fields first: earlier versions of this project read those."""
        values = asdict(self)
        return json.dumps(values.pop("model") | values, ensure_ascii=False)
