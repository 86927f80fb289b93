import re

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # all but tab and line feed
# What steers a terminal, ends a line, turns the order of letters around, or is no character.
LINE_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_text(text: str) -> str:
    """`text` with whatever would steer a terminal spelt out; a path or a label that is named may hold anything."""
    return CONTROLS.sub(lambda hit: hit[0].encode("unicode_escape").decode("ascii"), text)


def escape_line(cell: str) -> str:
    """A caption's line breaks, and what a file's name may hold to steer a terminal, as `\\n` and `\\x1b`."""
    return LINE_CONTROLS.sub(lambda hit: hit[0].encode("unicode_escape").decode("ascii"), cell)
