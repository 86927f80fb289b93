"""The behaviour that users rely on, of search and classification, with a real Weaviate and a real sidecar."""
