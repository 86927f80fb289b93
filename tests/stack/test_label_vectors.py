"""Zero-shot classification with a real Weaviate and a real sidecar, compared with the same sums in numpy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from weaviate.classes.config import Configure

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.database.collections import ensure_label_collection
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.database.schema import (
    PROMPT_SET,
    PROMPT_VERSION,
    VECTOR,
    CollectionDescription,
    StoredModel,
    label_properties,
)
from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.labels.label_store import WeaviateLabels, build_labels, choose_label_collection, store_labels
from clip_vectorizer.vectors import Vectors, ensemble
from tests.stack.support import EXAMPLES, Stack

pytestmark = pytest.mark.stack

LABELS = ["animal", "fruit", "vehicle", "musical instrument", "动物", "水果"]
TEMPLATES = ["{}", "a drawing of {}", "{}图标"]


@contextmanager
def searching(stack: Stack) -> Iterator[ImageSearch]:
    """Connect without a collection of images: labels need none."""
    with ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=None,
    ) as search:
        yield search


def scores_in_numpy(images_nd: Vectors, sidecar: VectorizerClient, info: ModelInfo) -> np.ndarray:
    """Return (N, L) shares, without a database."""
    prompts = [template.replace("{}", label) for label in LABELS for template in TEMPLATES]
    labels_ld = ensemble(sidecar.embed_texts(prompts).reshape(len(LABELS), len(TEMPLATES), -1))
    weights = np.exp(info.logit_scale * (images_nd @ labels_ld.T).astype(np.float64))
    shares: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return shares


def test_the_database_gives_the_labels_of_numpy(stack: Stack) -> None:
    files = sorted(EXAMPLES.rglob("*.png"))[::10]
    with searching(stack) as search, VectorizerClient(stack.vectorizer_url) as sidecar:
        results = list(search.classify(files, LABELS, TEMPLATES))
        shares = scores_in_numpy(sidecar.embed_images([file.read_bytes() for file in files]), sidecar, search.info)
    best_two = np.argsort(-shares, axis=1)[:, :2]
    assert [result.path for result in results] == [str(file) for file in files]
    assert [[result.label, result.runner_up] for result in results] == [[LABELS[i] for i in row] for row in best_two]
    top = np.take_along_axis(shares, best_two, axis=1)
    np.testing.assert_allclose([result.score for result in results], top[:, 0], atol=1e-5)
    np.testing.assert_allclose([result.margin for result in results], top[:, 0] - top[:, 1], atol=1e-5)


class Counting:
    """The sidecar, recording every text that it embeds."""

    def __init__(self, sidecar: VectorizerClient) -> None:
        self.sidecar = sidecar
        self.texts: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return self.sidecar.embed_texts(texts)


def test_labels_are_embedded_once_and_a_set_can_grow(stack: Stack) -> None:
    with (
        VectorizerClient(stack.vectorizer_url) as sidecar,
        connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client,
    ):
        info = sidecar.meta()
        store = WeaviateLabels(client, stack.weaviate_url, info)
        for texts, embedded in [(["lion", "lynx"], 2), (["lion", "lynx"], 0), (["puma", "lynx", "lion"], 1)]:
            counting = Counting(sidecar)
            store_labels(build_labels(texts, ["a wild {}"], info), info.dimension, counting, store)
            assert len(counting.texts) == embedded


def test_another_models_labels_get_a_collection_of_their_own(stack: Stack) -> None:
    with (
        VectorizerClient(stack.vectorizer_url) as sidecar,
        connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client,
    ):
        info = sidecar.meta()
        assert choose_label_collection(client, info) == "ImageLabel"
        other = replace(info, revision="0123456789abcdef", dimension=3)
        own = choose_label_collection(client, other)
        try:
            assert own == "ImageLabel_0123456789ab"
            labels = build_labels(["lion", "lynx"], ["{}"], other)
            WeaviateLabels(client, stack.weaviate_url, other).add(labels, np.eye(2, 3, dtype=np.float32))
        finally:
            client.collections.delete(own)


def test_a_collection_of_labels_of_an_earlier_version_gets_what_it_lacks(stack: Stack) -> None:
    with (
        VectorizerClient(stack.vectorizer_url) as sidecar,
        connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client,
    ):
        info = sidecar.meta()
        try:
            client.collections.create(
                "ImageLabelOld",
                description=CollectionDescription(StoredModel.of(info)).to_json(),
                properties=[each for each in label_properties() if each.name not in (PROMPT_SET, PROMPT_VERSION)],
                vector_config=[Configure.Vectors.self_provided(name=VECTOR)],
            )
            ensure_label_collection(client, info, "ImageLabelOld")
            there = {each.name for each in client.collections.use("ImageLabelOld").config.get().properties}
            assert there == {each.name for each in label_properties()}
        finally:
            client.collections.delete("ImageLabelOld")
