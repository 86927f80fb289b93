"""CLIP image search for Weaviate."""

__version__: str


def __getattr__(name: str) -> str:
    """Read the version when it is used: importlib.metadata takes a third of the start-up of `clip-search --help`."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("clip-vectorizer")
