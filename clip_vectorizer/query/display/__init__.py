"""How found images are shown: tables, thumbnails, contact sheets."""
