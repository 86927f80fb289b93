"""Weaviate's vector index against exact search: which neighbours it misses, and how long it takes."""
