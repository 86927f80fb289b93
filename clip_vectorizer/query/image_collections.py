"""Which collections of a server hold images that `clip-ingest` brought in, and which tenants they have."""

from dataclasses import dataclass

from weaviate import WeaviateClient
from weaviate.collections.classes.config import CollectionConfig

from clip_vectorizer.database.connection import connect_weaviate, weaviate_errors
from clip_vectorizer.database.regions import RegionDescription, name_region_collection
from clip_vectorizer.database.schema import LABEL_COLLECTION, CollectionDescription


@dataclass(frozen=True, slots=True)
class ListedCollection:
    """A collection of images, and its tenants by name; None where its images belong to none."""

    name: str
    model: str  # that made its vectors
    tenants: tuple[str, ...] | None = None


def read_image_collections(url: str, grpc_port: int | None, api_key: str | None) -> tuple[ListedCollection, ...]:
    """Return the collections that `clip-ingest` filled, by name.

    Not those of their regions, of labels, or of other programs. Raises WeaviateUnreachable.
    """
    with connect_weaviate(url, grpc_port, api_key) as client, weaviate_errors(url):
        return tuple(list_image_collections(client))


def list_image_collections(client: WeaviateClient) -> list[ListedCollection]:
    found = client.collections.list_all(simple=False)
    regions = {name_region_collection(name) for name in found}
    images = []
    for name, config in sorted(found.items()):
        description = read_description(name, config)
        if description is not None and name not in regions:
            tenants = tuple(sorted(client.collections.use(name).tenants.get())) if has_tenants(config) else None
            images.append(ListedCollection(name, description.model.model, tenants))
    return images


def read_description(name: str, config: CollectionConfig) -> CollectionDescription | None:
    """Return what a collection of images records of itself, None for any other collection."""
    description = CollectionDescription.from_json(config.description)
    is_other = name.startswith(LABEL_COLLECTION) or RegionDescription.from_json(config.description) is not None
    if is_other or description is None or description.vector not in (config.vector_config or {}):
        return None
    return description


def has_tenants(config: CollectionConfig) -> bool:
    return bool(config.multi_tenancy_config.enabled)
