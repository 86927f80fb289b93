"""The page of clip-gallery in a browser, on a collection of 100,000 images."""
