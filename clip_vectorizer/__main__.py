"""`python -m clip_vectorizer`: the command `clip-vectorizer`."""

from clip_vectorizer.entry_points import vectorizer

if __name__ == "__main__":
    vectorizer()
