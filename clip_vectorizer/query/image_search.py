"""Search and classification of images: the one object that users and commands hold. D dimensions

Searching, as one does it in Python. D dimensions
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Self, Unpack

import numpy.typing as npt

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.database.schema import LABEL
from clip_vectorizer.defaults import DEFAULT_URL, DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION, MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.connect import WeaviateImages, open_connection
from clip_vectorizer.query.explain import Explanation, build_explanation
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.labels.label_sets import list_set_labels
from clip_vectorizer.query.search.arguments import SearchArguments, SearchOptions
from clip_vectorizer.query.search.calls import QueryEncoder, SearchableCollection, answer_step
from clip_vectorizer.query.search.query import QueryInput, text, vector
from clip_vectorizer.query.search.query import image as picture
from clip_vectorizer.query.search.searches import Searches, split_pages
from clip_vectorizer.query.search.steps import ResultT, SearchFlow, run_flow
from clip_vectorizer.query.zeroshot.arguments import ClassifyArguments, ClassifyInput, ClassifyOptions
from clip_vectorizer.query.zeroshot.classify import ClassificationStores, ClassifyContext, classify, open_stores
from clip_vectorizer.query.zeroshot.results import Classifications

MAX_LIMIT = MAX_RESULTS


class Finder:
    """Searches one collection; its steps are answered in this thread. `asked`: see Asked.

    Many threads may search at once; close it when all are done.

    Every method raises Unreachable when Weaviate or the sidecar went away, InputError for what cannot be asked, and
    Mismatch for vectors of another model.
    """

    def __init__(self, info: ModelInfo, sidecar: QueryEncoder, images: SearchableCollection | None) -> None:
        """`images` None: connected without a collection."""
        self.info = info
        self.sidecar = sidecar
        self._images = images
        self._closed = False

    def find(self, what: QueryInput, **asked: Unpack[SearchArguments]) -> list[Hit]:
        """The images nearest to `what`, best first.

        A str is a text; a path, bytes or a PIL image an image; `text`, `image`, `stored` and `vector` say which, and
        can be added up: `search.find(text("horse") + text("stripes") - 0.5 * text("fruit"), limit=5)`.
        """
        return self._run(self.searches.find(what, **asked))

    def by_text(self, query: str, limit: int = 10, **asked: Unpack[SearchOptions]) -> list[Hit]:
        """The images nearest to a text, best first. A text cut to the model's context is a logged warning."""
        return self.find(text(query), limit=limit, **asked)

    def by_image(self, image: ImageInput, limit: int = 10, **asked: Unpack[SearchOptions]) -> list[Hit]:
        """The images nearest to a path, an https:// address, a file's bytes or a PIL image, best first."""
        return self.find(picture(image), limit=limit, **asked)

    def by_vector(self, values: npt.ArrayLike, limit: int = 10, **asked: Unpack[SearchOptions]) -> list[Hit]:
        """The images nearest to a vector (D,) of the collection's model, best first. Raises Mismatch for another D."""
        return self.find(vector(values), limit=limit, **asked)

    def groups(
        self, what: QueryInput, by: str = LABEL, per_group: int = 3, groups: int = 10, **asked: Unpack[SearchArguments]
    ) -> list[Group]:
        """The nearest images by the value of a property, best group first: `search.groups("owl", by="label")`.

        Among the `limit` nearest (default 1,000), which are also how far it looks for groups.
        """
        return self._run(self.searches.groups(what, by, per_group, groups, **asked))

    def pages(self, what: QueryInput, size: int = 100, **asked: Unpack[SearchArguments]) -> Iterator[list[Hit]]:
        """All hits, best first, a page at a time, until none are left or Weaviate's 10,000 have been seen.

        `offset` begins later, `limit` ends earlier. `for page in search.pages("owl", size=50): ...`
        """
        plan = self._run(self.searches.all_pages(what, **asked))
        for limit, offset in split_pages(plan.question, size):
            if hits := self._run(self.searches.page(plan, limit, offset)):
                yield hits
            if len(hits) < limit:
                return

    def everything(
        self,
        after: str | None = None,
        where: FilterInput = None,
        properties: Iterable[str] = (),
        vectors: bool = False,
        thumbnails: bool = False,
    ) -> Iterator[StoredImage]:
        """Every image of the collection, in an order that stays; with `where`, those that match, by their paths.

        `after` goes on behind the image with this id. `for image in search.everything(where="label=birds"): ...`
        """
        listing = self.searches.listing(where, properties, vectors, thumbnails)
        last = self._run(listing.start_after(after))
        while rows := self._run(listing.page(last)):
            yield from map(listing.listed, rows)
            last = rows[-1]

    def explain(self, what: QueryInput, **asked: Unpack[SearchArguments]) -> Explanation:
        """What `find` would send to Weaviate, and what it asks the sidecar before: `print(search.explain("owl"))`."""
        return build_explanation(self._run(self.searches.explain(what, **asked)), self.searches.searched)

    def explain_groups(
        self, what: QueryInput, by: str = LABEL, per_group: int = 3, groups: int = 10, **asked: Unpack[SearchArguments]
    ) -> Explanation:
        """The same of `groups`."""
        planned = self._run(self.searches.explain_groups(what, by, per_group, groups, **asked))
        return build_explanation(planned, self.searches.searched)

    @property
    def searches(self) -> Searches:
        """The searches as flows, for whoever answers their steps in another way."""
        return Searches(self._collected().searched, self.info)

    def _run(self, flow: SearchFlow[ResultT]) -> ResultT:
        images = self._collected()
        return run_flow(flow, lambda step: answer_step(step, self.sidecar, images))

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this search is closed; connect again, and close after the last question")

    def _collected(self) -> SearchableCollection:
        self._check_open()
        if self._images is None:
            raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
        return self._images


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
        where = ConnectionSettings(weaviate_url, grpc_port, api_key, vectorizer_url, vectorizer_api_key)
        connected = open_connection(where, collection, tenant, consistency)
        client, info, searched = connected.client, connected.info, connected.searched
        images = WeaviateImages(client, weaviate_url, searched) if searched else None
        search = cls(info, connected.sidecar, images, lambda: open_stores(client, weaviate_url, info, searched))
        search._opened = connected.opened
        return search

    def __init__(
        self,
        info: ModelInfo,
        sidecar: QueryEncoder,
        images: SearchableCollection | None,
        shelf: Callable[[], ClassificationStores],
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
        images: ClassifyInput,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        limit: int | None = None,
        **how: Unpack[ClassifyArguments],
    ) -> Classifications:
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
        parts = ClassifyContext(self.info, self.sidecar, self._shelf(), self._images)
        return classify(images, labels, templates, limit, ClassifyOptions(**how), parts)

    def label_set(self, name: str) -> list[str]:
        """The labels of a named set as they were given, with descriptions. Raises InputError when there is none."""
        self._check_open()
        return list_set_labels(name, self._shelf().sets)
