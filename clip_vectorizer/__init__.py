"""CLIP image search for Weaviate."""

from importlib.metadata import version

__version__ = version("clip-vectorizer")
