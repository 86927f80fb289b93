"""Search and classification of images: the object that programs and commands use.

D dimensions
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Self, Unpack

import numpy.typing as npt
from weaviate.classes.config import DataType

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard
from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.database.schema import LABEL
from clip_vectorizer.defaults import DEFAULT_URL, DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.captions.answers import (
    Answer,
    PictureQuestion,
    ProviderInput,
    ask,
    build_failed_answer,
    build_question,
    check_listing_arguments,
)
from clip_vectorizer.query.captions.captioned import CaptionStore, WeaviateCaptions
from clip_vectorizer.query.captions.choose import CaptionArguments, CaptionOptions, choose_way
from clip_vectorizer.query.captions.writing import CaptionRun
from clip_vectorizer.query.connect import WeaviateImages, open_connection
from clip_vectorizer.query.explain import Explanation, build_explanation
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.grounding.ground import GroundArguments, GroundContext, GroundOptions, ground
from clip_vectorizer.query.grounding.groundings import PictureGroundings
from clip_vectorizer.query.grounding.image_names import GroundInput
from clip_vectorizer.query.grounding.region_reader import StoredRegions
from clip_vectorizer.query.grounding.stored_regions import CollectionRegionReader
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.labels.label_sets import list_set_labels
from clip_vectorizer.query.search.arguments import SearchArguments, SearchOptions
from clip_vectorizer.query.search.calls import (
    OpenRegions,
    QueryEncoder,
    ResultT,
    SearchableCollection,
    SearchFlow,
    SearchStep,
    SearchTarget,
    WeaviateCall,
    embed_step,
    run_flow,
)
from clip_vectorizer.query.search.counting import ValueCount
from clip_vectorizer.query.search.query import Query, QueryInput
from clip_vectorizer.query.search.sampling import check_sample_size
from clip_vectorizer.query.search.searches import Searches, split_ids, split_pages
from clip_vectorizer.query.zeroshot.classify import (
    ClassificationStores,
    ClassifyArguments,
    ClassifyContext,
    ClassifyInput,
    ClassifyOptions,
    classify,
    open_stores,
)
from clip_vectorizer.query.zeroshot.scores import Classifications
from clip_vectorizer.vectors import Vectors


class ImageSearch:
    """Search one collection by text, image or vector, and classify images. A context manager.

        with ImageSearch.connect("http://localhost:8080", collection="Image") as search:
            hits = search.find("a red apple", limit=3)

    Many threads may search at once; close it when all have finished. The keyword arguments of every search are listed
    in SearchArguments, those of `classify` in ClassifyArguments, those of `ground` in GroundArguments.

    Every method raises WeaviateUnreachable or SidecarUnreachable when a server does not answer, InputError for an
    argument that cannot be used, and Mismatch for a vector of another model; all derive from VectorizerError.
    """

    @classmethod
    def connect(
        cls,
        weaviate_url: str = DEFAULT_URL,
        *,
        grpc_port: int | None = None,
        api_key: str | None = None,
        vectorizer_url: str = DEFAULT_VECTORIZER_URL,
        vectorizer_api_key: str | None = None,
        collection: str | None = IMAGE_COLLECTION,
        tenant: str | None = None,
        consistency_level: str | None = None,
        allow_addresses: Sequence[str] = (),
    ) -> Self:
        """Connect to Weaviate and the sidecar, and check that the sidecar's model made the collection's vectors.

        `grpc_port`: None is 50051. `api_key`: Weaviate's; `vectorizer_api_key`: the sidecar's. `collection`: None to
        classify files without images in the database. `tenant`: required where the collection has tenants.
        `consistency_level`: how many replicas must agree on a read, ONE, QUORUM or ALL (also weaviate-client's
        ConsistencyLevel); None leaves it to Weaviate. `allow_addresses`: servers of images (https://...) that may be
        contacted although their addresses are not public ones: hosts, networks such as 10.0.0.0/8, or "all".

        Raises SettingsError (a bad URL), WeaviateUnreachable, SidecarUnreachable, InputError (no such collection,
        tenant, level or network), Mismatch (another model).
        """
        guard = AddressGuard.parse(allow_addresses)
        address = ConnectionSettings(weaviate_url, grpc_port, api_key, vectorizer_url, vectorizer_api_key)
        connection = open_connection(address, collection, tenant, consistency_level)
        client, info, target = connection.client, connection.info, connection.target
        images = WeaviateImages(client, weaviate_url, target) if target else None
        regions = CollectionRegionReader(images, info) if images else None
        search = cls(
            info,
            connection.sidecar,
            images,
            lambda: open_stores(client, weaviate_url, info, images),
            guard,
            GroundContext(info, connection.sidecar, regions, guard),
        )
        search._opened = connection.opened
        if images is not None:
            search._open_captions = lambda: WeaviateCaptions(client, weaviate_url, images)
        return search

    def __init__(
        self,
        info: ModelInfo,
        sidecar: QueryEncoder,
        images: SearchableCollection | None,
        open_stores: Callable[[], ClassificationStores],
        guard: AddressGuard = PUBLIC_ONLY,
        grounding: GroundContext | None = None,
    ) -> None:
        """Use `connect` instead; this takes the parts, which tests replace.

        `images`: None without a collection. `open_stores`: called by each classification. `guard`: which servers of
        images may be contacted. `grounding`: the parts of `ground`.
        """
        self.info = info
        self.sidecar = sidecar
        self.guard = guard
        self._images = images
        self._open_stores = open_stores
        self._grounding = grounding
        self._open_captions: Callable[[], CaptionStore] | None = None
        self._opened = ExitStack()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, as leaving the `with` does. May be called twice."""
        self._closed = True
        self._opened.close()

    def find(self, what: QueryInput, **arguments: Unpack[SearchArguments]) -> list[Hit]:
        """Return the images nearest to `what`, best first.

        `what`: a str is a text; a path, bytes or a PIL image an image; an array (D,) a vector; or a Query, which may
        add them up.

            for hit in search.find("a red apple", limit=3, filters="label=fruit"):
                print(hit.similarity, hit.path)
            search.find(Query.text("horse") + Query.text("stripes") - 0.5 * Query.text("fruit"), limit=5)

        Raises InputError (no such file, property or stored image, a bad filter or number), Mismatch (a vector of
        another D).
        """
        return self._run(self.searches.find(what, **arguments))

    def by_text(self, query: str, limit: int = 10, **arguments: Unpack[SearchOptions]) -> list[Hit]:
        """Return the images nearest to a text, best first. Logs a warning for a text longer than the model's context.

            [hit] = search.by_text("a yellow lemon", limit=1)

        Raises InputError for an empty text.
        """
        return self.find(Query.text(query), limit=limit, **arguments)

    def by_image(self, image: ImageInput, limit: int = 10, **arguments: Unpack[SearchOptions]) -> list[Hit]:
        """Return the images nearest to a path, an https:// address, a file's bytes or a PIL image, best first.

            hits = search.by_image("examples/images/fruit/lemon.png", limit=3, include_thumbnail=True)

        Raises InputError for an image that cannot be read.
        """
        return self.find(Query.image(image), limit=limit, **arguments)

    def by_vector(self, values: npt.ArrayLike, limit: int = 10, **arguments: Unpack[SearchOptions]) -> list[Hit]:
        """Return the images nearest to a vector (D,) of the collection's model, of any length but 0, best first.

            [lemon] = search.by_text("a yellow lemon", limit=1, include_vector=True)
            search.by_vector(lemon.vector, limit=3)

        Raises Mismatch for another D, InputError for zeros, NaN or infinity.
        """
        return self.find(Query.vector(values), limit=limit, **arguments)

    def groups(
        self,
        what: QueryInput,
        by: str = LABEL,
        per_group: int = 3,
        groups: int = 10,
        **arguments: Unpack[SearchArguments],
    ) -> list[Group]:
        """Return the nearest images by the value of the property `by`, best group first.

            for group in search.groups("an animal", by="label", per_group=2, groups=5):
                print(group.name, [hit.path for hit in group.hits])

        Groups are made of the `limit` nearest images (default 1,000). Raises InputError for a property that cannot
        group, and for diversity, offset and auto_limit, which do not go with groups.
        """
        return self._run(self.searches.groups(what, by, per_group, groups, **arguments))

    def pages(self, what: QueryInput, size: int = 100, **arguments: Unpack[SearchArguments]) -> Iterator[list[Hit]]:
        """Yield all hits, best first, in pages of `size`, until none are left or Weaviate's 10,000 are reached.

            for page in search.pages("owl", size=50, limit=120):
                print(len(page))

        `offset` starts later, `limit` ends earlier. Raises InputError, as `find`, at the first page.
        """
        plan = self._run(self.searches.plan_pages(what, **arguments))
        for limit, offset in split_pages(plan.request, size):
            if hits := self._run(self.searches.page(plan, limit, offset)):
                yield hits
            if len(hits) < limit:
                return

    def iterate(
        self,
        *,
        after: str | None = None,
        filters: FilterInput = None,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
        page_size: int | None = None,
    ) -> Iterator[StoredImage]:
        """Yield every image of the collection, in a stable order; with `filters` the matching ones, by their paths.

            for image in search.iterate(filters="label=fruit", return_properties=["size"]):
                print(image.path, image.properties["size"])

        `after`: the id of an image to continue after; `page_size`: images in one answer of Weaviate.

        Raises InputError for an `after` that does not exist, a bad
        filter, and a property that does not exist.
        """
        listing = self.searches.listing(filters, return_properties, include_vector, include_thumbnail, page_size)
        last = self._run(listing.start_after(after))
        while objects := self._run(listing.page(last)):
            yield from map(listing.read_image, objects)
            last = objects[-1]

    def embed(self, what: QueryInput) -> Vectors:
        """Return the vector (D,) of a query, of length 1, as `find` compares it with images.

            vector = search.embed(Query.text("horse") + Query.text("stripes"))

        Raises InputError and Mismatch as `find`.
        """
        return self._run(self.searches.embed(what))

    def count(self, filters: FilterInput = None) -> int:
        """Return how many images of the collection match.

            print(search.count("label=fruit"))

        Raises InputError for a bad filter.
        """
        return self._run(self.searches.count(filters))

    def count_values(self, name: str, filters: FilterInput = None, limit: int = 100) -> list[ValueCount]:
        """Return the values of a property, most frequent first, with how many of the images that match have each.

            for each in search.count_values("label", "path~*.png", limit=5):
                print(each.value, each.count)

        Of times, such as `taken_at`, these are the years, latest first. Images without a value are not counted. Raises
        InputError for a bad filter, and for a property that does not exist or has no such values.
        """
        return self._run(self.searches.count_values(name, filters, limit))

    def stored_images(
        self,
        ids: Sequence[str],
        *,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
    ) -> Iterator[StoredImage]:
        """Yield the images with these ids, in their order; one that does not exist is left out.

            ids = [hit.id for hit in search.find("owl", limit=3)]
            print([image.path for image in search.stored_images(ids)])

        Raises InputError for what is no id, and for a property that does not exist.
        """
        listing = self.searches.listing(None, return_properties, include_vector, include_thumbnail)
        for page in split_ids(ids, listing):
            yield from self._run(self.searches.stored_page(page, listing))

    def newest(
        self,
        limit: int = 10,
        *,
        filters: FilterInput = None,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
    ) -> list[StoredImage]:
        """Return the images that were stored last, newest first.

            for image in search.newest(5, filters="label=fruit"):
                print(image.path)

        Raises InputError for a bad filter, a property that does not exist, and a limit that is none.
        """
        return self._run(self.searches.newest(limit, filters, return_properties, include_vector, include_thumbnail))

    def count_times(self, name: str, filters: FilterInput = None, within: str = "") -> list[ValueCount]:
        """Return how many of the images that match have a time in each year, or in each part of a year or a month.

            for each in search.count_times("taken_at", "label=fruit", within="2024"):
                print(each.value, each.count)

        `within`: "" for years, "2024" for its months, "2024-06" for its days; earliest first, those without images too.
        Of years, the last 60 up to the latest time. Periods are those of UTC, and a filter `taken_at=2024-06` has the
        same images. Raises InputError for a bad filter, and for a property that does not exist or holds no times.
        """
        periods = self._run(self.searches.periods(name, filters, within))
        return [self._run(self.searches.count_period(name, filters, each)) for each in periods]

    def sample(
        self,
        limit: int,
        *,
        filters: FilterInput = None,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
        page_size: int | None = None,
    ) -> Iterator[StoredImage]:
        """Yield at most `limit` images, spread evenly over all that match, the same ones each time.

            vectors = [image.vector for image in search.sample(100, include_vector=True)]
            print(len(vectors))

        They are those with the lowest ids, which `clip-ingest` makes from the paths by a hash; of other programs' ids
        they may be the oldest. `page_size`: images in one answer of Weaviate.

        Raises InputError for a bad filter or property, and for a limit above 10,000.
        """
        check_sample_size(limit)
        listing = self.searches.listing(filters, return_properties, include_vector, include_thumbnail, page_size)
        if listing.filters is None:
            left, last = limit, None
            while left > 0 and (objects := self._run(listing.page(last))):
                yield from map(listing.read_image, objects[:left])
                left, last = left - len(objects), objects[-1]
            return
        for page in split_ids(self._run(self.searches.sample_ids(listing, limit)), listing):
            yield from self._run(self.searches.stored_page(page, listing))

    def explain_nothing(self, filters: FilterInput) -> str:
        """Return which value of the filters no image has, with those there are; "" where each has some.

            print(search.explain_nothing("label=spaceships"))

        Raises InputError for a bad filter, and with a `suggestion` where another value was probably meant.
        """
        return self._run(self.searches.explain_nothing(filters))

    def stored(
        self,
        key: str,
        *,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
    ) -> StoredImage:
        """Return one image of the collection, by its path there or its id.

            print(search.stored("fruit/lemon.png", return_properties=["size"]).properties["size"])

        Raises InputError where there is none, with the nearest path.
        """
        return self._run(self.searches.stored(key, return_properties, include_vector, include_thumbnail))

    def regions(self, key: str) -> StoredRegions:
        """Return the boxes that are stored for one image, by its path or its id, with the vectors of their crops.

            print(search.regions("animals/cat.png").boxes_n4)

        Raises InputError where there is no such image, or it has no regions, Mismatch where another model made them.
        """
        reader = self.grounding.regions
        if reader is None:
            raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
        return reader.fetch(key)

    def explain(self, what: QueryInput, **arguments: Unpack[SearchArguments]) -> Explanation:
        """Return what `find` would send to Weaviate, and which steps come before, as Python and GraphQL.

            print(search.explain("owl", limit=3))

        Runs those steps, but not the search. Raises InputError and Mismatch as `find`.
        """
        planned = self._run(self.searches.explain(what, **arguments))
        return build_explanation(planned, self.searches.target)

    def explain_groups(
        self,
        what: QueryInput,
        by: str = LABEL,
        per_group: int = 3,
        groups: int = 10,
        **arguments: Unpack[SearchArguments],
    ) -> Explanation:
        """Return what `groups` would send to Weaviate, as `explain` does for `find`.

            print(search.explain_groups("an animal", by="label", per_group=2).python)

        Raises InputError and Mismatch as `groups`.
        """
        planned = self._run(self.searches.explain_groups(what, by, per_group, groups, **arguments))
        return build_explanation(planned, self.searches.target)

    def classify(
        self,
        images: ClassifyInput,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        limit: int | None = None,
        **options: Unpack[ClassifyArguments],
    ) -> Classifications:
        """Return an iterator over the most likely of `labels` for each image, in order.

            for result in search.classify(["examples/images/fruit/lemon.png"], ["lemon", "owl"]):
                print(result.path, result.label, result.score)

        `images`: files (paths, bytes, PIL images), hits of a search, or None for the whole collection, as stored.
        `labels`: at least two; one may have descriptions: "crane: a construction crane / a wading bird".
        `templates`: prompts, each with one {}; None takes a set for the label's language and the model. The prompts of
        a label make one vector, stored in the database; the nearest label wins. `limit`: classify that many images.
        An image that cannot be read gives a Classification with an `error`, in its place. `close()` of the result
        stops early.

        Raises, before the first image, InputError (labels, prompts or a filter that cannot be used) or Mismatch (a
        label set of another model).
        """
        self._check_open()
        context = ClassifyContext(self.info, self.sidecar, self._open_stores(), self._images, self.guard)
        return classify(images, labels, templates, limit, ClassifyOptions(**options), context)

    def ground(self, image: GroundInput, sentence: str = "", **arguments: Unpack[GroundArguments]) -> PictureGroundings:
        """Return where in a picture the things are that a sentence names, or that they are not in it.

            found = search.ground("examples/images/fruit/lemon.png", "a lemon next to an owl")
            for each in found:
                print(each.phrase.text, each.present, [box.pixels for box in each.boxes])
            print(len(found["lemon"].boxes), [phrase.text for phrase in found.missing])

        `image`: a file (path, https:// address, bytes, PIL image), which the sidecar grounds; or a stored image (its
        path or id, a Hit), whose stored regions are compared, without a pass of the model over the picture. A name that
        both could have is the file's; `stored=True` makes it the stored image's. `sentence`: English or Chinese; its
        noun phrases, or those between " . ", are grounded, or else `phrases`.

        "Is there one?" is `found["lemon"].present`, "how many?" is `len(found["lemon"].boxes)`.

        Raises InputError (no phrase in the sentence, too many, no such file or stored image, no regions stored, a
        picture that cannot be read), SidecarRefused (a sidecar without a grounder), Mismatch (regions of another
        model), VectorizerError (scores that are no numbers).
        """
        return ground(image, sentence, GroundOptions(**arguments), self.grounding)

    def write_captions(self, by: str, **options: Unpack[CaptionArguments]) -> CaptionRun:
        """Return a run that writes `predicted_caption` and `caption_by` to the images of the collection, one by one.

            for caption in search.write_captions("labels", labels=["cat", "dog", "apple"], limit=3):
                print(caption.path, caption.caption)

        `by`: `labels`, the nearest of `labels` or of a `label_set`; `neighbours`, the captions of the nearest images
        that have one; `regions`, such as "a cat and a red apple", from the labels of stored regions; `model`, by the
        sidecar's captioner. An image with a caption of its own gets none, and one that an earlier run of the same way
        did is left out. An image that cannot be captioned gives a Caption with an `error`.

        Raises InputError (no such way, labels that cannot be used), SidecarRefused (no captioner).
        """
        self._require_images()
        assert self._open_captions is not None, "connect gives it wherever there is a collection"
        context = ClassifyContext(self.info, self.sidecar, self._open_stores(), self._images, self.guard)
        chosen = CaptionOptions(**options)
        way = choose_way(by, chosen, context)
        return CaptionRun(self._open_captions(), way, chosen.filters, chosen.limit, chosen.redo)

    def answer(
        self,
        question: str,
        what: QueryInput | None = None,
        provider: ProviderInput = None,
        **arguments: Unpack[SearchArguments],
    ) -> list[Answer]:
        """Return what a language model answers about the images nearest to `what`, each by its picture.

            for answer in search.answer("how many apples are there?", "red apples", limit=3):
                print(answer.path, answer.text)

        Weaviate calls the model by one of its generative modules, which the server must have (ENABLE_MODULES). `what`
        None: the first images of the collection, or of `filters`. `provider`: the module, such as "ollama", or settings
        by weaviate-client's GenerativeConfig; None takes the only one there is. In the question, {caption} stands for
        that property. An image that the model fails at gives an Answer with an `error`.

        Raises InputError (no such module, a collection without pictures), and as `find`.
        """
        asked = build_question(question, provider, self.searches.target)
        return [self._ask(asked, image) for image in self._choose_images(what, arguments)]

    def _choose_images(self, what: QueryInput | None, arguments: SearchArguments) -> Iterable[Hit | StoredImage]:
        if what is not None:
            return self.find(what, **arguments)
        limit = check_listing_arguments(arguments)
        return islice(self.iterate(filters=arguments.get("filters")), limit)

    def _ask(self, question: PictureQuestion, image: Hit | StoredImage) -> Answer:
        try:
            return self._run(ask(question, image))
        except VectorizerError as error:
            return build_failed_answer(image, error)

    def label_set(self, name: str) -> list[str]:
        """Return the labels of a stored set, as they were given, with descriptions.

            list(search.classify(None, ["fruit", "animal"], label_set="things", limit=1))
            print(search.label_set("things"))

        Raises InputError when there is no such set.
        """
        self._check_open()
        return list_set_labels(name, self._open_stores().sets)

    @property
    def properties(self) -> Mapping[str, DataType]:
        """The properties of the collection, with Weaviate's types."""
        return self.searches.target.properties

    @property
    def grounding(self) -> GroundContext:
        """The model, the sidecar and the stored regions that `ground` uses."""
        self._check_open()
        if self._grounding is None:
            raise InputError("this search has no parts to ground with; use ImageSearch.connect")
        return self._grounding

    @property
    def searches(self) -> Searches:
        """The searches as flows, to run their steps in another way."""
        return Searches(self._require_images().target, self.info)

    def _run(self, flow: SearchFlow[ResultT]) -> ResultT:
        images = self._require_images()

        def run_step(step: SearchStep) -> object:
            if isinstance(step, WeaviateCall):
                return images.execute(step)
            if isinstance(step, OpenRegions):
                return images.open_regions()
            return embed_step(step, self.sidecar, self.guard)

        return run_flow(flow, run_step)

    def _open_regions(self) -> SearchTarget:
        """Return the collection of the images' regions. Raises InputError if there is none, Mismatch."""
        return self._require_images().open_regions()

    def _require_images(self) -> SearchableCollection:
        self._check_open()
        if self._images is None:
            raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
        return self._images

    def _check_open(self) -> None:
        if self._closed:
            raise InputError("this search is closed; connect again, and close after the last search")
