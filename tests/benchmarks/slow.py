"""A loss that takes 50 ms and can be pickled."""

import time
from typing import Any

import numpy as np


def slow_loss(w: Any) -> float:
    """Sleep, as a loss that waits for a simulation does, then add cubes."""
    time.sleep(0.05)
    return float(np.sum(w**3))


def slow_gradient(w: Any) -> Any:
    """Return the gradient of the cubes."""
    return 3 * w**2
