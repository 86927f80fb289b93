"""Search and classification of images: the one object that users and commands hold. D dimensions"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Self, Unpack

import numpy.typing as npt

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.connection import DEFAULT_URL, DEFAULT_VECTORIZER_URL, Connection
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.answering import ImageStore, Sidecar, answer
from clip_vectorizer.query.asking import MAX_RESULTS, Asked, Beside
from clip_vectorizer.query.connecting import connect
from clip_vectorizer.query.database import WeaviateImages
from clip_vectorizer.query.explaining import Explanation
from clip_vectorizer.query.finding import windows
from clip_vectorizer.query.hits import Group, Hit, Listed
from clip_vectorizer.query.label_sets import labels_in
from clip_vectorizer.query.mixture import What, text, vector
from clip_vectorizer.query.mixture import image as picture
from clip_vectorizer.query.pictures import Picture
from clip_vectorizer.query.searches import Searches
from clip_vectorizer.query.steps import Flow, Result, run
from clip_vectorizer.query.where import Where
from clip_vectorizer.query.zeroshot import Classification
from clip_vectorizer.query.zeroshot.asking import How, Images, Wanted
from clip_vectorizer.query.zeroshot.flow import Parts, classify
from clip_vectorizer.query.zeroshot.shelf import Shelf, open_shelf
from clip_vectorizer.schema import IMAGE_COLLECTION, LABEL

MAX_LIMIT = MAX_RESULTS


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
        self.info = info
        self.sidecar = sidecar
        self._images = images
        self._shelf = shelf
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    def find(self, what: What, **asked: Unpack[Asked]) -> list[Hit]:
        """The images nearest to `what`, best first.

        A str is a text; a path, bytes or a PIL image an image; `text`, `image`, `stored` and `vector` say which, and
        can be added up: `search.find(text("horse") + text("stripes") - 0.5 * text("fruit"), limit=5)`.
        """
        return self._run(self.searches.find(what, **asked))

    def by_text(self, query: str, limit: int = 10, **asked: Unpack[Beside]) -> list[Hit]:
        """The images nearest to a text, best first. A text cut to the model's context is a logged warning."""
        return self.find(text(query), limit=limit, **asked)

    def by_image(self, image: Picture, limit: int = 10, **asked: Unpack[Beside]) -> list[Hit]:
        """The images nearest to a path, an https:// address, a file's bytes or a PIL image, best first."""
        return self.find(picture(image), limit=limit, **asked)

    def by_vector(self, values: npt.ArrayLike, limit: int = 10, **asked: Unpack[Beside]) -> list[Hit]:
        """The images nearest to a vector (D,) of the collection's model, best first. Raises Mismatch for another D."""
        return self.find(vector(values), limit=limit, **asked)

    def groups(
        self, what: What, by: str = LABEL, per_group: int = 3, groups: int = 10, **asked: Unpack[Asked]
    ) -> list[Group]:
        """The nearest images by the value of a property, best group first: `search.groups("owl", by="label")`.

        Among the `limit` nearest (default 1,000), which are also how far it looks for groups.
        """
        return self._run(self.searches.groups(what, by, per_group, groups, **asked))

    def pages(self, what: What, size: int = 100, **asked: Unpack[Asked]) -> Iterator[list[Hit]]:
        """All hits, best first, a page at a time, until none are left or Weaviate's 10,000 have been seen.

        `offset` begins later, `limit` ends earlier. `for page in search.pages("owl", size=50): ...`
        """
        plan = self._run(self.searches.all_pages(what, **asked))
        for limit, offset in windows(plan.question, size):
            if hits := self._run(self.searches.page(plan, limit, offset)):
                yield hits
            if len(hits) < limit:
                return

    def everything(
        self,
        after: str | None = None,
        where: Where = None,
        properties: Iterable[str] = (),
        vectors: bool = False,
        thumbnails: bool = False,
    ) -> Iterator[Listed]:
        """Every image of the collection, in an order that stays; with `where`, those that match, by their paths.

        `after` goes on behind the image with this id. `for image in search.everything(where="label=birds"): ...`
        """
        listing = self.searches.listing(where, properties, vectors, thumbnails)
        last = self._run(listing.start_after(after))
        while rows := self._run(listing.page(last)):
            yield from map(listing.listed, rows)
            last = rows[-1]

    def explain(self, what: What, **asked: Unpack[Asked]) -> Explanation:
        """What `find` would send to Weaviate, and what it asks the sidecar before: `print(search.explain("owl"))`."""
        return self._run(self.searches.explain(what, **asked))

    def classify(
        self,
        images: Images,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        limit: int | None = None,
        **how: Unpack[How],
    ) -> Iterator[Classification]:
        """The most likely of `labels` for each image, in order.

        `images`: files (paths, bytes, PIL images), hits of a search, or None for the whole collection, as stored.
        Zero-shot: each label's prompts (`templates`, each with one {}; None: a set for the label's language and the
        model) make one vector, kept in the database; the nearest label wins. A label may have descriptions:
        "crane: a construction crane / a wading bird". An image that cannot be read is a Classification with an
        `error`, in its place. `limit`: the first so many images. See How for the rest.
        Raises InputError (labels, prompts or a filter that cannot be used) or Mismatch (a label set of another model)
        before the first image.
        """
        parts = Parts(self.info, self.sidecar, self._shelf(), self._images)
        return classify(images, labels, templates, limit, Wanted(**how), parts)

    def label_set(self, name: str) -> list[str]:
        """The labels of a named set as they were given, with descriptions. Raises InputError when there is none."""
        return labels_in(name, self._shelf().sets)

    @property
    def searches(self) -> Searches:
        """The searches as flows, for whoever answers their steps in another way."""
        return Searches(self._collected().searched, self.info)

    def _run(self, flow: Flow[Result]) -> Result:
        images = self._collected()
        return run(flow, lambda step: answer(step, self.sidecar, images))

    def _collected(self) -> ImageStore:
        if self._images is None:
            raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
        return self._images
