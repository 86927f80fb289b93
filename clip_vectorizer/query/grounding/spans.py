"""Spans: places in a sentence, first character and the one after the last; and the marks between words."""

Span = tuple[int, int]

# Comma, enumeration comma, full stop, question and exclamation marks, semicolon, colon, brackets: all full-width.
CHINESE_MARKS = "\uff0c\u3001\u3002\uff1f\uff01\uff1b\uff1a\uff08\uff09"


def strip_span(sentence: str, span: Span, marks: str = "") -> Span | None:
    """The span without white space and `marks` at its ends; None where nothing else is in it.

    >>> strip_span("a cat .", (1, 7), ".")
    (2, 5)
    """
    start, end = span
    while start < end and (sentence[start].isspace() or sentence[start] in marks):
        start += 1
    while start < end and (sentence[end - 1].isspace() or sentence[end - 1] in marks):
        end -= 1
    return (start, end) if start < end else None
