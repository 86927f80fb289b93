"""The address of a page of `clip-gallery` as options of `clip-search`: its parameters are their names."""

from collections.abc import Iterable, Sequence

TEXT = "q"
UPLOAD = "image"  # sha256:HEX of a picture that was sent to the page
COLLECTION, TENANT = PARTITION = ("collection", "tenant")
SEVERAL = ("like", "unlike", "plus", "minus", "where", "property")
ONE = (
    *("min-similarity", "auto-limit", "diversity", "captions", "group-by", "per-group", "move-to", "move-away"),
    *("force", "limit", "offset", "after", "regions"),
)
FLAGS = ("plain", "dedupe", "newest")
QUERY = (TEXT, UPLOAD, "like", "unlike", "plus", "minus", "move-to", "move-away")  # without one, all is listed


def list_options(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return the arguments of `clip-search`; pictures, collection and tenant are left to the caller.

    >>> list_options([("q", "-1 apple"), ("dedupe", "1"), ("where", "label=fruit")])
    ['--where=label=fruit', '--dedupe', '--', '-1 apple']
    """
    listing = [] if any(name in QUERY for name, _ in pairs) else ["--list"]
    several = [f"--{name}={value}" for name in SEVERAL for value in list_values(pairs, name)]
    one = [f"--{name}={value}" for name in ONE for value in list_values(pairs, name)[-1:]]
    flags = [f"--{name}" for name in FLAGS if list_values(pairs, name)]
    text = list_values(pairs, TEXT)[-1:]
    return [*listing, *several, *one, *flags, *(["--", *text] if text else [])]


def list_values(pairs: Iterable[tuple[str, str]], name: str) -> list[str]:
    return [value for each, value in pairs if each == name and value.strip()]
