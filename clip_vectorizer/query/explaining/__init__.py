"""What a search sends, for people: as Python that can be pasted, and as GraphQL that finds the same."""

from clip_vectorizer.query.explaining.explanation import Explanation, explained

__all__ = ["Explanation", "explained"]
