"""Arrays that the image decoders of this package pass on."""

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.generic]  # of any number type
