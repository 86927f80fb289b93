"""`python -m ingest`: the command `clip-ingest`."""

from clip_vectorizer.entry_points import ingest

if __name__ == "__main__":
    ingest()
