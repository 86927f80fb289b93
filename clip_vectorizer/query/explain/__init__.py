"""What a search sends, as Python to paste, and as GraphQL that finds the same."""

from clip_vectorizer.query.explain.explanation import Explanation, build_explanation

__all__ = ["Explanation", "build_explanation"]
