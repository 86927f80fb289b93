"""What users are promised of search and zero-shot classification, held to a real Weaviate and a real sidecar."""
