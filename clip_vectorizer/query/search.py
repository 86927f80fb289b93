"""Search and classification of images: the one object that users and commands hold. D dimensions"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.connection import DEFAULT_URL, DEFAULT_VECTORIZER_URL, connect_weaviate
from clip_vectorizer.errors import InputError, Mismatch, SidecarRefused
from clip_vectorizer.query.database import WeaviateImages, WeaviateLabels
from clip_vectorizer.query.guard import check_search
from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.labels import LabelStore, label_set, store_labels
from clip_vectorizer.query.pictures import Picture, embedded_picture, embedded_pictures
from clip_vectorizer.query.prompts import plain
from clip_vectorizer.query.zeroshot import Classification, Embedded, classified
from clip_vectorizer.schema import IMAGE_COLLECTION
from clip_vectorizer.vectors import Vectors

MAX_LIMIT = 10_000  # Weaviate's QUERY_MAXIMUM_RESULTS
START_AND_END = 2  # tokens that every text has beside its own


class ImageStore(Protocol):
    def near_text(self, text: str, limit: int) -> list[Hit]: ...
    def near_vector(self, vector_d: Vectors, limit: int) -> list[Hit]: ...
    def embedded(self) -> Iterator[list[Embedded]]: ...


class Sidecar(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


class ImageSearch:
    """Searches one collection by text, image or vector, and classifies images. A context manager.

    Every method raises Unreachable when Weaviate or the sidecar went away, InputError for what cannot be asked.
    """

    @classmethod
    def connect(
        cls,
        weaviate_url: str = DEFAULT_URL,
        grpc_port: int | None = None,
        api_key: str | None = None,
        vectorizer_url: str = DEFAULT_VECTORIZER_URL,
        collection: str | None = IMAGE_COLLECTION,
        vectorizer_api_key: str | None = None,
        tenant: str | None = None,
    ) -> Self:
        """Checks first that the sidecar runs the model that made the collection's vectors.

        `collection` None: to classify files, with no images in the database. `tenant`: whose images, where the
        collection has tenants. Raises WeaviateUnreachable, SidecarUnreachable, InputError (no such collection or
        tenant), Mismatch (another model).
        """
        with ExitStack() as opened:
            sidecar = opened.enter_context(VectorizerClient(vectorizer_url, api_key=vectorizer_api_key))
            client = opened.enter_context(connect_weaviate(weaviate_url, grpc_port, api_key))
            info = sidecar.meta()
            images, by_module = None, True
            if collection is not None:
                stored = check_search(client, weaviate_url, info, collection, tenant)
                images = WeaviateImages(client, weaviate_url, collection, stored.description.vector, tenant)
                by_module = stored.by_module
            search = cls(info, sidecar, images, lambda: WeaviateLabels(client, weaviate_url, info), by_module)
            search._opened = opened.pop_all()
        return search

    def __init__(
        self,
        info: ModelInfo,
        sidecar: Sidecar,
        images: ImageStore | None,
        labels: Callable[[], LabelStore],
        by_module: bool = True,
    ) -> None:
        """`connect` is the way in; this takes the parts, whatever they are. `labels` is called when one classifies.

        `by_module`: whether the database can embed a text itself.
        """
        self._by_module = by_module
        self.info = info
        self._sidecar = sidecar
        self._images = images
        self._labels = labels
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    def by_text(self, query: str, limit: int = 10) -> list[Hit]:
        """The images nearest to a text, best first. A text cut to the model's context is a logged warning."""
        text = plain(query)
        if not text:
            raise InputError("the query is empty; say what the images should show, for example 'a red apple'")
        images = self._searched(limit)
        if not self._by_module:
            return images.near_vector(self._sidecar.embed_texts([text])[0], limit)
        if len(text.encode()) + START_AND_END > self.info.context_length:  # else no tokenizer makes too many tokens
            self._sidecar.embed_texts([text])  # for its warnings, which Weaviate drops; nearText then finds it cached
        return images.near_text(text, limit)

    def by_image(self, image: Picture, limit: int = 10) -> list[Hit]:
        """The images nearest to a path, a file's bytes or a PIL image, best first."""
        images = self._searched(limit)
        return images.near_vector(embedded_picture(image, self._sidecar), limit)

    def by_vector(self, vector: Sequence[float] | npt.NDArray[np.floating], limit: int = 10) -> list[Hit]:
        """The images nearest to a vector (D,) of the collection's model, best first. Raises Mismatch for another D."""
        images = self._searched(limit)
        vector_d: Vectors = np.asarray(vector, dtype=np.float32)
        if vector_d.shape != (self.info.dimension,):
            raise Mismatch(f"a vector of shape {vector_d.shape}; {self.info.model} makes ({self.info.dimension},)")
        if not (np.isfinite(vector_d).all() and vector_d.any()):
            raise InputError("a vector of zeros, NaN or infinity has no direction; nothing is near it")
        return images.near_vector(vector_d, limit)

    def classify(
        self,
        images: Iterable[Picture] | None,
        labels: Sequence[str],
        templates: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[Classification]:
        """The most likely of `labels` for each image, in order; `images` None: the whole collection, as stored.

        Zero-shot: each label's prompts (`templates`, each with one {}; None: a set for the label's language and the
        model) make one vector, kept in the database, where nearVector decides. An image that cannot be read is a
        Classification with an `error`. `limit`: the first so many images. Raises InputError for labels that cannot be
        used, before the first image.
        """
        competing = label_set(labels, templates, self.info)
        store = self._labels()
        store_labels(competing, self.info.dimension, self._sidecar, store)
        batches = self._collected().embedded() if images is None else embedded_pictures(images, self._sidecar)
        return islice(classified(batches, competing, store, self.info.logit_scale), limit)

    def _searched(self, limit: int) -> ImageStore:
        if not 1 <= limit <= MAX_LIMIT:
            raise InputError(f"limit {limit}: expected 1 to {MAX_LIMIT} results")
        return self._collected()

    def _collected(self) -> ImageStore:
        if self._images is None:
            raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
        return self._images
