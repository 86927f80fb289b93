"""The other collections and tenants that a page may show, as links that keep what is searched for."""

from collections.abc import Sequence
from dataclasses import dataclass

from clip_vectorizer.gallery.address import LABEL_NAMES, Address, make_path
from clip_vectorizer.gallery.connection import GalleryConnection, Partition
from clip_vectorizer.query.cli.address_options import PARTITION, TENANT, TEXT, UPLOAD
from clip_vectorizer.query.image_collections import ListedCollection

MOST_LINKS = 100  # of tenants; others are typed
# What means the same in any collection, and what in any tenant of one: ids and paths of images do not.
ANYWHERE = (TEXT, UPLOAD, "plus", "minus", "move-to", "move-away", "force", "plain", "limit", "dedupe", *LABEL_NAMES)
NOT_ELSEWHERE = (*PARTITION, "like", "unlike", "offset", "after")


@dataclass(frozen=True, slots=True)
class Choice:
    """A collection, or a tenant."""

    name: str
    path: str  # the page of it
    chosen: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """Both lists; one that has nothing to choose from is empty."""

    collections: tuple[Choice, ...] = ()
    tenants: tuple[Choice, ...] = ()
    more_tenants: int = 0  # that have no link


def build_choices(address: Address, found: Sequence[ListedCollection], connection: GalleryConnection) -> Choices:
    """`found`: the collections that may be shown."""
    shown = connection.find_shown(address)
    collections = tuple(build_collection_choice(each, shown, address, connection) for each in found)
    names = next((each.tenants for each in found if each.name == shown.collection), None) or ()
    names = tuple(name for name in names if connection.default.tenant in (None, name))
    rest = tuple(pair for pair in address.pairs if pair[0] not in NOT_ELSEWHERE)
    tenants = tuple(
        Choice(name, make_path(connection.make_address(Partition(shown.collection, name), rest)), name == shown.tenant)
        for name in names[:MOST_LINKS]
    )
    is_choice = len(names) > 1 or (names and shown.tenant != names[0])
    return Choices(
        collections if any(not each.chosen for each in collections) else (),
        tenants if is_choice else (),
        len(names) - len(tenants),
    )


def build_collection_choice(
    collection: ListedCollection, shown: Partition, address: Address, connection: GalleryConnection
) -> Choice:
    """Of a collection with tenants, the first one opens."""
    chosen = collection.name == shown.collection
    tenant = shown.tenant if chosen else choose_tenant(collection, connection)
    rest = tuple(pair for pair in address.pairs if pair[0] in ANYWHERE)
    path = make_path(connection.make_address(Partition(collection.name, tenant), rest))
    return Choice(collection.name, path, chosen, collection.model)


def choose_tenant(collection: ListedCollection, connection: GalleryConnection) -> str | None:
    if collection.tenants is None:
        return None
    return connection.default.tenant or next(iter(collection.tenants), None)


def list_hidden_fields(address: Address) -> list[tuple[str, str]]:
    """Return the fields of a form in which a tenant is typed."""
    return [
        pair for pair in address.pairs if pair[0] != TENANT and pair[0] not in ("like", "unlike", "offset", "after")
    ]
