"""Labels typed into the page: each shown image gets the nearest of them, as `clip-classify` finds it.

Nothing is stored by looking: the labels' vectors are kept for one page alone. POST /labels stores the labels with the
images, as `clip-classify --save`, where the command was started with --write.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import click
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.address import BY_LABEL, LABELS, OTHER, PROMPTS, TEMPLATE, Address
from clip_vectorizer.gallery.forms import read_fields
from clip_vectorizer.gallery.pages import GalleryPages, lines_response
from clip_vectorizer.gallery.results import Card, Results, Section
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.cli.classify_actions import parse_threshold, to_json
from clip_vectorizer.query.cli.label_names import FILE_MARK, split_names
from clip_vectorizer.query.hits import StoredImage
from clip_vectorizer.query.labels.label_store import check_labels, parse_label
from clip_vectorizer.query.prompts import select_prompt_set
from clip_vectorizer.query.zeroshot.classify import ClassifyArguments
from clip_vectorizer.query.zeroshot.scores import OTHER as OTHER_LABEL
from clip_vectorizer.query.zeroshot.scores import Classification
from clip_vectorizer.terminal import escape_line

BY_LABEL_SIZE = 200  # images of a page that is grouped by its labels: such a page has no next one
MOST_LABELS = 200  # they are embedded for every page
READ_ONLY = "this gallery stores nothing; start it with --write to store labels with the images"


@dataclass(frozen=True, slots=True)
class LabelCount:
    """A label and how many of the shown images have it."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Labelling:
    """What a page shows of the labels that were typed. Without any, it is empty; `problem` is why there is none."""

    results: Mapping[str, Classification] = field(default_factory=dict)  # by the id of the image
    counts: tuple[LabelCount, ...] = ()  # in the order typed, `other` last
    problem: str = ""

    @property
    def total(self) -> int:
        return sum(each.count for each in self.counts)

    @property
    def failed(self) -> int:
        return sum(bool(each.error) for each in self.results.values())


class LabelPages(GalleryPages):
    """/labels.json, the lines of `clip-classify --json`, and POST /labels, which stores them."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/labels.json", self.show_json), Route("/labels", self.store, methods=["POST"])]

    async def read(self, address: Address, results: Results) -> Labelling:
        """Label the images of a page. An error of the labels is a sentence beside the results, which stay."""
        if not address.all(LABELS):
            return Labelling()
        try:
            found = await classify_cards(results.cards, address, await self.gallery.connection.open(address))
        except VectorizerError as error:
            return Labelling(problem=(await self.describe(error))[0])
        names = [parse_label(entry)[0] for entry in read_labels(address)]
        return Labelling({each.id: each for each in found}, count_labels(found, names, bool(address.one(OTHER))))

    async def show_json(self, request: Request) -> Response:
        try:
            found = await self.classify(Address.parse(request.url.query))
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_in_json(error)
        return lines_response(map(to_json, found))

    async def store(self, request: Request) -> Response:
        """Store the label of each image that the page shows."""
        address = Address()
        try:
            fields = await read_fields(request)
            if not self.gallery.can_write:
                return self.render_problem(READ_ONLY, 403)
            address = Address.parse(fields.one("address"))
            found = await self.classify(address, save=True)
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_to_error(error, address=address)
        failed = [f"{escape_line(each.path)}: {each.error}" for each in found if each.error]
        stored = len(found) - len(failed)
        return self.render("stored.html", 200, address, stored=stored, failed=failed)

    async def classify(self, address: Address, save: bool = False) -> list[Classification]:
        """Repeat the search of the page, and label its images."""
        search = await self.gallery.connection.open(address)
        results = await self.find(size_page(address), search)
        return await classify_cards(results.cards, address, search, save)


async def classify_cards(
    cards: Sequence[Card], address: Address, search: AsyncImageSearch, save: bool = False
) -> list[Classification]:
    """Raises InputError for labels that cannot be used."""
    labels = check_labels(read_labels(address))
    images = [StoredImage(card.path, card.id, "", "") for card in cards]
    arguments = read_arguments(address)
    arguments["save"] = arguments["store_labels"] = save
    return [each async for each in search.classify(images, labels, **arguments)]


def read_labels(address: Address) -> list[str]:
    """Return the labels, as `clip-classify --labels` reads them, but from no file of this machine.

    >>> read_labels(Address((("labels", 'cat,"dog, small"'), ("labels", "owl"))))
    ['cat', 'dog, small', 'owl']
    """
    given = address.all(LABELS)
    refuse_files(LABELS, given)
    names = [name for text in given for name in split_names(text)]
    if len(names) > MOST_LABELS:
        raise InputError(
            f"{len(names):,} labels, and a page takes {MOST_LABELS}; use `clip-classify --labels` for more"
        )
    return names


def read_arguments(address: Address) -> ClassifyArguments:
    prompts, templates = address.all(PROMPTS)[-1:], address.all(TEMPLATE)
    refuse_files(PROMPTS, prompts)
    if prompts and templates:
        raise InputError("prompts and template both name the templates; remove one")
    other = address.one(OTHER)
    return ClassifyArguments(
        prompts=select_prompt_set(prompts[0] if prompts else None, templates or None),
        threshold=parse_threshold(other) if other else None,
    )


def refuse_files(name: str, values: Sequence[str]) -> None:
    if any(value.lstrip().startswith(FILE_MARK) for value in values):
        raise InputError(f"{name}={FILE_MARK}... names a file, which this page does not read; type what is in it")


def count_labels(found: Sequence[Classification], names: Sequence[str], has_other: bool) -> tuple[LabelCount, ...]:
    counted = Counter(each.label for each in found if not each.error)
    return tuple(LabelCount(name, counted[name]) for name in (*names, *([OTHER_LABEL] if has_other else [])))


def size_page(address: Address) -> Address:
    """A page grouped by its labels has more images than another, unless the address has a limit."""
    grouped = address.one(BY_LABEL) and address.all(LABELS) and not address.one("limit")
    return Address((*address.pairs, ("limit", str(BY_LABEL_SIZE)))) if grouped else address


def group_by_label(results: Results, labelling: Labelling) -> Results:
    """The same images in sections, one for each label that any has, the most frequent first, `other` last."""
    ordered = sorted(
        (each for each in labelling.counts if each.count), key=lambda each: (each.label == OTHER_LABEL, -each.count)
    )
    cards = {each.label: collect_cards(results.cards, labelling, each.label) for each in ordered}
    rest = [card for card in results.cards if card.id not in labelling.results or labelling.results[card.id].error]
    sections = [Section(escape_line(label), tuple(found)) for label, found in cards.items()]
    sections += [Section("without a label", tuple(rest))] if rest else []
    return replace(results, sections=tuple(sections), next="")


def collect_cards(cards: Sequence[Card], labelling: Labelling, label: str) -> list[Card]:
    """Return the images of one label, best score first."""
    scores = {id: each.score for id, each in labelling.results.items() if each.label == label and not each.error}
    return sorted((card for card in cards if card.id in scores), key=lambda card: -scores[card.id])
