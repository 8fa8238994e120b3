"""A zoo of layers and small networks, with hand-written back-passes and bugs for each.

Each is a pair ``forward(*inputs) -> output, cache`` and ``backward(upstream, cache)``. A `Case`
makes of it a loss and a gradient at one point: in float64, in float32, or "mixed", with float32
inside a float64 program (all of the layer for even seeds, a buffer for the first input for odd
ones); with normal inputs, exact zeros, or small integers that tie.

python -m tests.trust.zoo --help      what falls short, and figures for each precision and method
python -m tests.trust.verdicts        every verdict, to hold one version against the next
"""

from . import (  # in this order they stand in the zoo
    activations,
    attention,
    convolutions,
    likelihoods,
    linear,
    losses,
    networks,
    norms,
    pooling,
    recurrent,
)
from .layer import KINDS, LAYERS, SIZES, Bug, Case, Layer, cases, refuse_unknown

SUBJECTS = (
    activations,
    losses,
    linear,
    convolutions,
    pooling,
    norms,
    recurrent,
    attention,
    likelihoods,
    networks,
)

__all__ = [
    "KINDS",
    "LAYERS",
    "SIZES",
    "SUBJECTS",
    "Bug",
    "Case",
    "Layer",
    "cases",
    "refuse_unknown",
]
