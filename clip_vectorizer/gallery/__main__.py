"""`python -m clip_vectorizer.gallery`: the command `clip-gallery`."""

from clip_vectorizer.entry_points import gallery

if __name__ == "__main__":
    gallery()
