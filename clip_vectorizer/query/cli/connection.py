"""How the commands that search reach a collection: their options, and the ImageSearch that these open."""

from typing import TYPE_CHECKING, Any

from clip_vectorizer.cli_common import Values, combine_options
from clip_vectorizer.common_options import (
    collection_option,
    consistency_option,
    tenant_option,
    vectorizer_key_option,
    vectorizer_option,
    weaviate_options,
)

if TYPE_CHECKING:
    from clip_vectorizer.query.image_search import ImageSearch

service_options = combine_options((weaviate_options, vectorizer_option, vectorizer_key_option))
collection_options = combine_options((collection_option, tenant_option, consistency_option, service_options))


def open_search(values: Values) -> "ImageSearch":
    """Connect with what `collection_options` read; --allow-address counts where the command has it.

    Raises what ImageSearch.connect raises.
    """
    from clip_vectorizer.query.image_search import ImageSearch  # imports weaviate-client, which takes a second

    return ImageSearch.connect(values["weaviate_url"], **read_connect_arguments(values))


def read_connect_arguments(values: Values) -> dict[str, Any]:
    """Return the keyword arguments of ImageSearch.connect and AsyncImageSearch.connect."""
    return {
        "grpc_port": values["weaviate_grpc_port"],
        "api_key": values["weaviate_api_key"],
        "vectorizer_url": values["vectorizer_url"],
        "vectorizer_api_key": values["vectorizer_api_key"],
        "collection": values["collection"],
        "tenant": values["tenant"],
        "consistency_level": values["consistency"],
        "allow_addresses": values.get("allow_addresses", ()),
    }
