"""How the vector index holds vectors: chosen when a collection is made, or later."""

import pytest

from clip_vectorizer.database.collections import read_collection
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.errors import InputError
from tests.stack.conftest import New
from tests.stack.storing import GREEN, RED, Place
from tests.stack.support import Stack

pytestmark = pytest.mark.stack


def quantizer(stack: Stack, place: Place) -> str:
    with connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client:
        return read_collection(client, place.collection).quantizer


@pytest.mark.parametrize("wanted", ["rq-8", "rq-1", "none"])
def test_a_new_collection_has_the_given_quantizer(new: New, stack: Stack, wanted: str) -> None:
    place = new()
    with place.open(quantizer=wanted):
        assert quantizer(stack, place) == wanted


def test_a_collection_with_whole_vectors_is_quantized_later_and_not_back(new: New, stack: Stack) -> None:
    place = new()
    place.ingest({"red.png": RED, "green.png": GREEN})
    with place.open(quantizer="rq-8") as store:
        assert quantizer(stack, place) == "rq-8"
        assert store.states(["red.png", "green.png"]).keys() == {"red.png", "green.png"}
    with place.open():
        assert quantizer(stack, place) == "rq-8"
    with (
        pytest.raises(InputError, match="was created with --quantizer rq-8, which is final"),
        place.open(quantizer="none"),
    ):
        pass
