"""Searching, as one does it in Python. D dimensions"""

from collections.abc import Iterable, Iterator
from typing import Unpack

import numpy.typing as npt

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.explaining import Explanation, explained
from clip_vectorizer.query.filters.where import Where
from clip_vectorizer.query.hits import Group, Hit, Listed
from clip_vectorizer.query.pictures import Picture
from clip_vectorizer.query.searching.answering import ImageStore, Sidecar, answer
from clip_vectorizer.query.searching.asking import Asked, Beside
from clip_vectorizer.query.searching.finding import windows
from clip_vectorizer.query.searching.mixture import What, text, vector
from clip_vectorizer.query.searching.mixture import image as picture
from clip_vectorizer.query.searching.searches import Searches
from clip_vectorizer.query.searching.steps import Flow, Result, run
from clip_vectorizer.schema import LABEL


class Finder:
    """Searches one collection; its steps are answered in this thread. `asked`: see Asked.

    Many threads may search at once; close it when all are done.

    Every method raises Unreachable when Weaviate or the sidecar went away, InputError for what cannot be asked, and
    Mismatch for vectors of another model.
    """

    def __init__(self, info: ModelInfo, sidecar: Sidecar, images: ImageStore | None) -> None:
        """`images` None: connected without a collection."""
        self.info = info
        self.sidecar = sidecar
        self._images = images
        self._closed = False

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
        return explained(self._run(self.searches.explain(what, **asked)), self.searches.searched)

    def explain_groups(
        self, what: What, by: str = LABEL, per_group: int = 3, groups: int = 10, **asked: Unpack[Asked]
    ) -> Explanation:
        """The same of `groups`."""
        planned = self._run(self.searches.explain_groups(what, by, per_group, groups, **asked))
        return explained(planned, self.searches.searched)

    @property
    def searches(self) -> Searches:
        """The searches as flows, for whoever answers their steps in another way."""
        return Searches(self._collected().searched, self.info)

    def _run(self, flow: Flow[Result]) -> Result:
        images = self._collected()
        return run(flow, lambda step: answer(step, self.sidecar, images))

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this search is closed; connect again, and close after the last question")

    def _collected(self) -> ImageStore:
        self._check_open()
        if self._images is None:
            raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
        return self._images
