"""Numbers with their nouns."""


def format_count(count: int, noun: str) -> str:
    """The number with its noun, whose plural ends in s.

    >>> format_count(1, "region"), format_count(2, "region")
    ('1 region', '2 regions')
    """
    return f"{count} {noun}{'s' * (count != 1)}"
