"""Filter expressions, as people type them, made into Weaviate's filters.

label=fruit   label=fruit|vegetables   label!=fruit   path~2024/*.jpg   caption=red apple   size>=100000
taken_at=2024-06   sold=true   camera?   !camera?   location<10km@52.5,13.4
"""

import re
from collections.abc import Mapping, Sequence

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where_filters import HAS, HAS_NOT, Condition, condition_filter
from clip_vectorizer.query.filters.where_values import BadValue, Kind, kind_of
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.query.prompts import plain

Where = str | Sequence[str] | FilterReturn | None

COMPARISON = re.compile(r"\s*(\w+)\s*(!=|<=|>=|==|=|<|>|~)(.*)", re.DOTALL)
PRESENCE = re.compile(r"\s*(!?)\s*(\w+)\s*\?\s*")
# Each value with | around it; one inside quotes belongs to the value, and so does \\|.
VALUES = re.compile(r"""(?:^|\|)(\s*"[^"]*"\s*(?=\||$)|\s*'[^']*'\s*(?=\||$)|(?:\\\||[^|])*)""")
QUOTED = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
EXAMPLE = "for example label=fruit, size>=1000 or taken_at>=2024-01-01"
EQUAL, ORDER, LIKE = ("=", "!="), ("<", "<=", ">", ">="), ("~",)
OPERATORS = {
    Kind.EXACT: EQUAL + ORDER + LIKE,
    Kind.WORDS: EQUAL + LIKE,
    Kind.WHOLE: EQUAL + ORDER,
    Kind.NUMBER: EQUAL + ORDER,
    Kind.DATE: EQUAL + ORDER,
    Kind.BOOL: EQUAL,
    Kind.PLACE: ORDER,
}


def where_filter(where: Where, properties: Mapping[str, DataType]) -> FilterReturn | None:
    """What meets all of the expressions; a filter of weaviate-client stays as it is.

    `properties`: the collection's. An expression is a property, one of = != < <= > >= ~, and a value; after = != ~ also
    several with | between, of which any will do. ~ takes a pattern: * is anything, ? one letter. `label?` has a value,
    `!label?` has none. Texts of many words, like a caption, are compared by their words: = finds all of them in any
    order. Times without a zone are UTC. Raises InputError that names the expression.
    """
    if where is None or isinstance(where, FilterReturn):
        return where
    filters = [expression_filter(expression, properties) for expression in expressions(where)]
    return Filter.all_of(filters) if len(filters) > 1 else filters[0] if filters else None


def expressions(where: str | Sequence[str]) -> Sequence[str]:
    several = isinstance(where, Sequence) and not isinstance(where, str | bytes)
    return where if several else [where]  # type: ignore[list-item]  # it is looked at one by one


def expression_filter(expression: str, properties: Mapping[str, DataType]) -> FilterReturn:
    if not isinstance(expression, str):
        raise InputError(f"the filter {expression!r}: expected a text, {EXAMPLE}")
    try:
        plain(expression)  # what is no UTF-8 cannot be sent
        return condition_filter(condition(expression, properties))
    except BadValue as error:
        raise InputError(f"the filter {expression!r}: {error}") from None


def condition(expression: str, properties: Mapping[str, DataType]) -> Condition:
    """Raises BadValue for what is no expression, and for what the property cannot be asked."""
    if presence := PRESENCE.fullmatch(expression):
        without, name = presence.groups()
        return Condition(name, known_kind(name, properties), HAS_NOT if without else HAS)
    parts = COMPARISON.fullmatch(expression)
    if parts is None:
        raise BadValue(f"expected a property, a comparison and a value, {EXAMPLE}")
    name, operator, text = parts[1], parts[2].replace("==", "="), parts[3]
    kind = known_kind(name, properties)
    if operator not in OPERATORS[kind]:
        raise BadValue(f"{name} holds {kind.value}; take {' '.join(OPERATORS[kind])}")
    return Condition(name, kind, operator, values_of(text, name, operator))


def known_kind(name: str, properties: Mapping[str, DataType]) -> Kind:
    kinds = {each: kind_of(each, data_type) for each, data_type in sorted(properties.items())}
    usable = [each for each, kind in kinds.items() if kind]
    if name not in kinds:
        raise BadValue(f"no property is called {name}; {did_you_mean(name, usable)}there are {', '.join(usable)}")
    kind = kinds[name]
    if kind is None:
        raise BadValue(f"{name} has no index to filter by; these have: {', '.join(usable)}")
    return kind


def values_of(text: str, name: str, operator: str) -> tuple[str, ...]:
    parts = [part.strip() for part in VALUES.findall(text)]
    if "" in parts:
        raise BadValue(f'a value is missing; {name}="" finds empty texts, !{name}? what has no value')
    if len(parts) > 1 and operator in ORDER:
        raise BadValue(f"{operator} takes one value; several, with | between, go with = != ~")
    return tuple(unquoted(part) for part in parts)


def unquoted(part: str) -> str:
    """Quotes around a value are no part of it, | inside of them and \\| are the sign itself."""
    quoted = QUOTED.fullmatch(part)
    return (quoted[2] if quoted else part).replace(r"\|", "|")
