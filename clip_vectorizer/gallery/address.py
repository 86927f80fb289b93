"""The address of a page is its whole state: its parameters are the options of `clip-search`, without their dashes.

    /?q=red+apple&where=label%3Dfruit&min-similarity=0.2

is `clip-search --where label=fruit --min-similarity 0.2 -- red apple`: one parser, one set of rules, one result.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlencode

from clip_vectorizer.defaults import IMAGE_COLLECTION
from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import suggest
from clip_vectorizer.query.cli.address_options import FLAGS, ONE, PARTITION, QUERY, SEVERAL, TEXT, UPLOAD, list_options
from clip_vectorizer.query.cli.search import main as search_command

# Of this page and `clip-classify`, not of `clip-search`: labels typed into the page, and whether it is grouped by them.
LABELS, TEMPLATE, PROMPTS, OTHER, BY_LABEL = LABEL_NAMES = ("labels", "template", "prompts", "other", "by-label")
PLACE = ("offset", "after")  # where in the results a page begins
NAMES = (TEXT, UPLOAD, *PARTITION, *SEVERAL, *ONE, *FLAGS, *LABEL_NAMES)
VERSION = "v"  # of a thumbnail
PAGE_SIZE = 40
MAX_PARAMETERS = 200
MAX_LENGTH = 20_000  # letters of an address: browsers and servers end near there
UPLOAD_KEY = re.compile(r"sha256:[0-9a-f]{64}")

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of a page, in order. Empty ones are left out, as forms send them.

    >>> address = Address.parse("q=red+apple&where=label%3Dfruit&offset=40&group-by=")
    >>> address.text, address.all("where"), str(address.with_only("where"))
    ('red apple', ('label=fruit',), 'q=red+apple')
    """

    pairs: Pairs = ()

    @classmethod
    def parse(cls, query_string: str) -> Self:
        """Raises InputError for a parameter that does not exist, and for too many."""
        if len(query_string) > MAX_LENGTH:
            raise InputError(
                f"the address has {len(query_string):,} letters, and {MAX_LENGTH:,} is the most; search with less text"
            )
        try:
            pairs = parse_qsl(query_string, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise InputError(f"the address has more than {MAX_PARAMETERS} parameters; begin again") from None
        for name, value in pairs:
            check_parameter(name, value)
        return cls(tuple((name, value) for name, value in pairs if value.strip()))

    def one(self, name: str) -> str:
        """Return the last value of a parameter, "" without one."""
        return next((value for each, value in reversed(self.pairs) if each == name), "")

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for each, value in self.pairs if each == name)

    @property
    def text(self) -> str:
        return self.one(TEXT)

    @property
    def uploads(self) -> tuple[str, ...]:
        """The keys of pictures that were sent to this page."""
        return self.all(UPLOAD)

    @property
    def has_query(self) -> bool:
        return any(name in QUERY for name, _ in self.pairs)

    @property
    def start(self) -> "Address":
        """The page of all images of the same collection and tenant."""
        return Address(tuple(pair for pair in self.pairs if pair[0] in PARTITION))

    @property
    def is_start(self) -> bool:
        return self == self.start

    @property
    def limit(self) -> str:
        return self.one("limit") or str(PAGE_SIZE)

    def with_only(self, name: str, *values: str) -> "Address":
        """The same search with these values of one parameter, from its first result on.

        >>> str(Address.parse("q=owl&limit=5&after=x").with_only("limit", "9"))
        'q=owl&limit=9'
        """
        dropped = (name, *PLACE, *(("newest",) if name in QUERY else ()))  # only a listing has an order of its own
        kept = tuple(pair for pair in self.pairs if pair[0] not in dropped)
        return Address((*kept, *((name, value) for value in values)))

    def without(self, name: str, value: str) -> "Address":
        return self.with_only(name, *(each for each in self.all(name) if each != value))

    def adding(self, name: str, value: str) -> "Address":
        return self.with_only(name, *(each for each in self.all(name) if each != value), value)

    def at(self, name: str, value: str) -> "Address":
        """The same search from another place on. `name`: offset or after."""
        return Address((*(pair for pair in self.pairs if pair[0] not in PLACE), (name, value)))

    def __str__(self) -> str:
        return urlencode(self.pairs)


def check_parameter(name: str, value: str) -> None:
    if name not in NAMES:
        near = suggest(name, NAMES)
        raise InputError(f"the address has {name!r}, which is no option of this page; {near or ''}remove it", near)
    if name == UPLOAD and value and not UPLOAD_KEY.fullmatch(value):
        raise InputError("image= takes a picture that was dropped, pasted or chosen on this page, and no address")
    if "\0" in value:
        raise InputError(f"{name} has a NUL character; remove it")


def make_path(address: Address, path: str = "/") -> str:
    """The link to a page.

    >>> make_path(Address((("q", "a&b"),)))
    '/?q=a%26b'
    """
    return f"{path}?{address}" if address.pairs else path


def make_image_path(id: str, address: Address) -> str:
    """The link to the details of an image, from which Back and the arrows return to this search."""
    return make_path(address, f"/image/{quote(id, safe='')}")


def make_thumbnail_path(id: str, version: str, address: Address) -> str:
    """The address of a thumbnail. `version`: a digest of it, so that a browser may keep it for ever.

    >>> make_thumbnail_path("0b7b", "12ab", Address.parse("q=owl&collection=Photo"))
    '/thumb/0b7b?collection=Photo&v=12ab'
    """
    return make_path(Address((*address.start.pairs, (VERSION, version))), f"/thumb/{quote(id, safe='')}")


def list_arguments(address: Address) -> list[str]:
    """Return the arguments of `clip-search`. A page has its own number of images.

    >>> list_arguments(Address.parse("q=-1+apple&dedupe=1&where=label%3Dfruit"))
    ['--where=label=fruit', '--limit=40', '--dedupe', '--', '-1 apple']
    """
    limit = () if address.one("limit") else (("limit", str(PAGE_SIZE)),)
    return list_options((*address.pairs, *limit))


def format_command(
    address: Address, uploads: Iterable[str] = (), collection: str = IMAGE_COLLECTION, tenant: str | None = None
) -> str:
    """Return the command that prints the same, for a shell. `uploads`: the names of the files that were sent.

    >>> format_command(Address.parse("q=owl&where=label%3Dbirds"))
    'clip-search --where=label=birds --limit=40 owl'
    """
    words = [word for word in list_arguments(address) if word != "--" or address.text.startswith("-")]
    place = [] if collection == IMAGE_COLLECTION else [f"--collection={collection}"]
    place += [f"--tenant={tenant}"] if tenant else []
    return shlex.join(["clip-search", *place, *(f"--image={name}" for name in uploads), *words])


def read_values(address: Address) -> Mapping[str, Any]:
    """Return the parameters of `clip-search`, checked by its own rules.

    Raises click.UsageError for options that do not work together.
    """
    arguments = ["--json", "--thumbnails", *list_arguments(address)]
    return search_command.make_context("clip-search", arguments).params
