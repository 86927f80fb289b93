"""The collections in Weaviate: their names, their properties, and the model guard.

The names below are the contract between `ingest` (writes) and `query` (reads).
"""

IMAGE_COLLECTION = "Image"
LABEL_COLLECTION = "ImageLabel"
VECTOR = "clip"  # the named vector of both collections

# Properties of IMAGE_COLLECTION
IMAGE = "image"  # blob: the original file's bytes, standard base64; the only field of the vector
THUMBNAIL = "thumbnail"  # blob: a small JPEG
PATH = "path"  # relative to the source's root, with forward slashes: the key of the object's UUID
FILENAME = "filename"
LABEL = "label"  # the folder's name
CAPTION = "caption"  # from a .txt beside the image
SHA256 = "sha256"  # hex digest of the original bytes
SIZE = "size"  # bytes
MIME = "mime"
MODEL = "model"  # the model that made the vector
