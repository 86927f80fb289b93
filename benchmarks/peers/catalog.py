"""The peers' packages: pinned versions, their licences, and what each is run for. All come from PyPI by name.

Each is installed into a virtual environment of its own (environments.py), for their pins exclude each other.
"""

from dataclasses import dataclass

TORCH = ("torch==2.15.0", "torchvision==0.29.2")  # this project's own, so that no peer has an older one than we have
SETUPTOOLS = "setuptools==80.9.0"  # the last with pkg_resources, which clip-client and clip-anytorch import


@dataclass(frozen=True, slots=True)
class PeerPackage:
    name: str
    licence: str  # of the first requirement
    requirements: tuple[str, ...]  # the pins that decide its speed; what they need is resolved when it is installed

    @property
    def version(self) -> str:
        """
        >>> PeerPackage("x", "MIT", ("some-peer[server]==1.2", "torch==2.15.0")).version
        'some-peer 1.2'
        """
        name, _, version = self.requirements[0].partition("==")
        return f"{name.partition('[')[0]} {version}"


INFINITY = PeerPackage(
    "infinity",
    "MIT",
    ("infinity-emb[server,torch,vision]==0.0.78", "transformers==4.47.1", "aiohttp==3.14.5", *TORCH),  # for images
)
FASTEMBED = PeerPackage("fastembed", "Apache-2.0", ("fastembed==0.9.1", "onnxruntime==1.32.0"))
# The newest rclip for Python 3.11. 4.0 needs Python 3.12; it runs the same ONNX files, and decodes JPEGs of twice the
# model's side or more at a smaller scale, which 640x480 is not.
RCLIP = PeerPackage("rclip", "MIT", ("rclip==3.3.0", "onnxruntime==1.32.0"))
CLIP_AS_SERVICE = PeerPackage(
    "clip-as-service",
    "Apache-2.0",
    (
        "clip-server==0.8.3",
        "clip-client==0.8.3",
        "jina==3.34.0",
        "open-clip-torch==2.8.2",
        SETUPTOOLS,
        *TORCH,
    ),
)
CLIP_RETRIEVAL = PeerPackage(
    "clip-retrieval",
    "MIT",
    ("clip-retrieval==2.45.0", "all-clip==1.3.0", "open-clip-torch==2.32.0", SETUPTOOLS, *TORCH),
)
# What the container's requirements.txt pins; its own code comes with --upstream.
WEAVIATE = PeerPackage(
    "multi2vec-clip-inference",
    "BSD-3-Clause",
    (
        "transformers[sentencepiece]==4.57.3",
        "fastapi==0.122.1",
        "uvicorn==0.38.0",
        "nltk==3.9.2",
        "torch==2.6.0",
        "torchvision==0.21.0",
        "sentence-transformers==3.2.1",
        "open-clip-torch==2.29.0",
        "sentencepiece==0.2.0",
        "accelerate==1.7.0",
        "colpali-engine==0.3.13",
    ),
)
# No peer: writes the ONNX files that fastembed and rclip read.
EXPORTER = PeerPackage("exporter", "Apache-2.0", ("transformers==4.57.6", "onnx==1.23.2", *TORCH))

PACKAGES = (WEAVIATE, INFINITY, CLIP_AS_SERVICE, FASTEMBED, RCLIP, CLIP_RETRIEVAL)
