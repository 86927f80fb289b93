"""The model of a vector: what must agree before vectors may be compared, and how a collection stores it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

FIRST_VECTOR = "clip"  # the named vector that every collection begins with


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
        return f"{FIRST_VECTOR}_{hashlib.blake2b(space, digest_size=4).hexdigest()}"

    def __str__(self) -> str:
        return f"{self.model} (revision {self.revision}, {self.dimension} dimensions, {self.preprocessing})"


@dataclass(frozen=True, slots=True)
class CollectionDescription:
    """The metadata of a collection: one JSON object, stored as the collection's description in Weaviate."""

    model: StoredModel  # made the vectors that are searched
    keep: str = (
        "full"  # what is stored of an image; `full` is the default of collections from before there was a choice
    )
    vector: str = FIRST_VECTOR  # the named vector that is searched
    retired: Mapping[str, int] = field(default_factory=dict)  # vectors of earlier models: dimensions by name
    moving_to: StoredModel | None = None  # the model whose vectors are being added to the present ones

    @classmethod
    def from_json(cls, text: str | None) -> "CollectionDescription | None":
        """Parse a description; None if it was not written by `to_json`. Missing fields get their defaults."""
        try:
            values = json.loads(text or "")
            moving_to = values.get("moving_to")
            return cls(
                StoredModel.from_values(values),
                str(values.get("keep", "full")),
                str(values.get("vector", FIRST_VECTOR)),
                {str(name): int(dimension) for name, dimension in values.get("retired", {}).items()},
                StoredModel.from_values(moving_to) if moving_to else None,
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def to_json(self) -> str:
        """A flat object, the model's fields first: earlier versions of this project read those."""
        values = asdict(self)
        return json.dumps(values.pop("model") | values, ensure_ascii=False)
