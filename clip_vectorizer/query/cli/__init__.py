"""The commands that read Weaviate. Each has a file of its own, so that none loads what only another one needs."""
