"""Search and classification of images: the one object that users and commands hold. D dimensions"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Self, Unpack

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.connection import DEFAULT_URL, DEFAULT_VECTORIZER_URL, Connection
from clip_vectorizer.query.connecting import connect
from clip_vectorizer.query.database import WeaviateImages
from clip_vectorizer.query.finder import Finder
from clip_vectorizer.query.labels.label_sets import labels_in
from clip_vectorizer.query.searching.answering import ImageStore, Sidecar
from clip_vectorizer.query.searching.asking import MAX_RESULTS
from clip_vectorizer.query.zeroshot.asking import How, Images, Wanted
from clip_vectorizer.query.zeroshot.flow import Parts, classify
from clip_vectorizer.query.zeroshot.results import Results
from clip_vectorizer.query.zeroshot.shelf import Shelf, open_shelf
from clip_vectorizer.schema import IMAGE_COLLECTION

MAX_LIMIT = MAX_RESULTS


class ImageSearch(Finder):
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
        consistency: str | None = None,
    ) -> Self:
        """Checks first that the sidecar runs the model that made the collection's vectors.

        `collection` None: to classify files, with no images in the database. `tenant`: whose images, where the
        collection has tenants. `consistency`: how many replicas must agree, ONE, QUORUM or ALL, where there are some.
        Raises WeaviateUnreachable, SidecarUnreachable, InputError (no such collection or tenant), Mismatch (another
        model).
        """
        where = Connection(weaviate_url, grpc_port, api_key, vectorizer_url, vectorizer_api_key)
        connected = connect(where, collection, tenant, consistency)
        client, info, searched = connected.client, connected.info, connected.searched
        images = WeaviateImages(client, weaviate_url, searched) if searched else None
        search = cls(info, connected.sidecar, images, lambda: open_shelf(client, weaviate_url, info, searched))
        search._opened = connected.opened
        return search

    def __init__(
        self, info: ModelInfo, sidecar: Sidecar, images: ImageStore | None, shelf: Callable[[], Shelf]
    ) -> None:
        """`connect` is the way in; this takes the parts, whatever they are. `shelf` is called when one classifies."""
        super().__init__(info, sidecar, images)
        self._shelf = shelf
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections; leaving the `with` does it too."""
        self._closed = True
        self._opened.close()

    def classify(
        self,
        images: Images,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        limit: int | None = None,
        **how: Unpack[How],
    ) -> Results:
        """The most likely of `labels` for each image, in order.

        `images`: files (paths, bytes, PIL images), hits of a search, or None for the whole collection, as stored.
        Zero-shot: each label's prompts (`templates`, each with one {}; None: a set for the label's language and the
        model) make one vector, kept in the database; the nearest label wins. A label may have descriptions:
        "crane: a construction crane / a wading bird". An image that cannot be read is a Classification with an
        `error`, in its place. `limit`: the first so many images. See How for the rest. Whoever wants no more of them
        may `close()` the results.
        Raises InputError (labels, prompts or a filter that cannot be used) or Mismatch (a label set of another model)
        before the first image.
        """
        self._check_open()
        parts = Parts(self.info, self.sidecar, self._shelf(), self._images)
        return classify(images, labels, templates, limit, Wanted(**how), parts)

    def label_set(self, name: str) -> list[str]:
        """The labels of a named set as they were given, with descriptions. Raises InputError when there is none."""
        self._check_open()
        return labels_in(name, self._shelf().sets)
