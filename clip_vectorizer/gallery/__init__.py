"""A web page to search and browse a collection. It imports `query` only."""
