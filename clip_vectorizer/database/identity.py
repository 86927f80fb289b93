"""Which model made a vector: what must agree before vectors may be compared, and how a collection remembers it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

FIRST_VECTOR = "clip"  # the named vector that every collection begins with


class ModelIdentity(Protocol):
    """What `/meta` tells of a model (`ModelInfo`), as far as vectors depend on it."""

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
    """The model that made a collection's vectors. `model` is what it was called then; the rest decides."""

    model: str
    revision: str
    dimension: int
    preprocessing: str

    @classmethod
    def of(cls, info: ModelIdentity) -> "StoredModel":
        return cls(info.model, info.revision, info.dimension, info.preprocessing)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "StoredModel":
        """Raises KeyError, TypeError or ValueError where `values` are no model's."""
        model, revision, preprocessing = (str(values[name]) for name in ("model", "revision", "preprocessing"))
        return cls(model, revision, int(values["dimension"]), preprocessing)

    def agrees_with(self, info: ModelIdentity) -> bool:
        """Whether both make the same vectors. Equal revisions are equal weights, whatever name they were loaded by."""
        return self.vector_space == StoredModel.of(info).vector_space

    @property
    def vector_space(self) -> tuple[str, int, str]:
        return self.revision, self.dimension, self.preprocessing

    @property
    def own_vector(self) -> str:
        """A name for this model's vectors, in a collection that has those of another one."""
        space = json.dumps(self.vector_space).encode()
        return f"{FIRST_VECTOR}_{hashlib.blake2b(space, digest_size=4).hexdigest()}"

    def __str__(self) -> str:
        return f"{self.model} (revision {self.revision}, {self.dimension} dimensions, {self.preprocessing})"


@dataclass(frozen=True, slots=True)
class CollectionDescription:
    """What a collection knows of itself: one JSON object, which is the collection's description in Weaviate."""

    model: StoredModel  # made the vectors that are searched
    keep: str = "full"  # what stays of an image; full is what was kept before there was a choice
    vector: str = FIRST_VECTOR  # the named vector that is searched
    retired: Mapping[str, int] = field(default_factory=dict)  # vectors of earlier models: dimensions by name
    moving_to: StoredModel | None = None  # the model whose vectors are being made beside the present ones

    @classmethod
    def from_json(cls, text: str | None) -> "CollectionDescription | None":
        """What `text` says, or None when it was not written by `to_json`. Fields that it lacks have their defaults."""
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
        """Flat, the model's fields first: earlier versions of this project read those."""
        values = asdict(self)
        return json.dumps(values.pop("model") | values, ensure_ascii=False)
