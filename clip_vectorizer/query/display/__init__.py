"""Display of results: tables, thumbnails, contact sheets."""
