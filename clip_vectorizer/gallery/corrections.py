"""Did you mean: the address of a page with the name that was probably meant, as a link to click."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from clip_vectorizer.errors import InputError, Suggestion
from clip_vectorizer.gallery.address import MAX_PARAMETERS, Address
from clip_vectorizer.gallery.facets import quote_value, read_equal
from clip_vectorizer.gallery.results import Results
from clip_vectorizer.query.async_image_search import AsyncImageSearch

PROPERTY = re.compile(r"(\s*!?\s*)(\w+)(.*)", re.DOTALL)  # that a filter begins with


@dataclass(frozen=True, slots=True)
class Correction:
    """The name that was probably meant, and the page with it."""

    meant: str
    path: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why a page has no images: a sentence, "" for an unknown reason."""

    reason: str = ""
    correction: Correction | None = None


async def explain_nothing(address: Address, results: Results, search: AsyncImageSearch) -> Nothing:
    """Look for a value in the filters that no image has, as `clip-search` does where nothing is found."""
    if results.cards or not address.all("where"):
        return Nothing()
    try:
        return Nothing(await search.explain_nothing(address.all("where")))
    except InputError as error:
        return Nothing(str(error), correct(str(address), error))


def correct(query_string: str, error: Exception) -> Correction | None:
    """Return the correction of an address, None where the error suggests nothing that is in it.

    >>> correct("where=label%3Dvegtables&q=a", InputError("...", Suggestion("vegtables", "vegetables")))
    Correction(meant='vegetables', path='/?where=label%3Dvegetables&q=a')
    """
    suggestion = getattr(error, "suggestion", None)
    if not isinstance(suggestion, Suggestion):
        return None
    try:
        pairs = parse_qsl(query_string, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return None
    corrected = [correct_pair(name, value, suggestion) for name, value in pairs]
    return Correction(suggestion.meant, f"/?{urlencode(corrected)}") if corrected != pairs else None


def correct_pair(name: str, value: str, suggestion: Suggestion) -> tuple[str, str]:
    """Return a parameter with the name in question replaced, wherever such a name can be."""
    if name == suggestion.given:
        return suggestion.meant, value
    if name == "where":
        return name, correct_filter(value, suggestion)
    is_name = name in ("like", "group-by", "property", "prompts") and value == suggestion.given
    return name, suggestion.meant if is_name else value


def correct_filter(expression: str, suggestion: Suggestion) -> str:
    """Replace the property of a filter, or one of its values.

    >>> correct_filter("lable=a|b", Suggestion("lable", "label")), correct_filter("label=a|b", Suggestion("b", "c"))
    ('label=a|b', 'label=a|c')
    """
    parts = PROPERTY.fullmatch(expression)
    if parts and parts[2] == suggestion.given:
        return f"{parts[1]}{suggestion.meant}{parts[3]}"
    name, values = read_equal(expression)
    if suggestion.given not in values:
        return expression
    return f"{name}={'|'.join(quote_values(values, suggestion))}"


def quote_values(values: tuple[str, ...], suggestion: Suggestion) -> Iterator[str]:
    return (quote_value(suggestion.meant if value == suggestion.given else value) for value in values)
