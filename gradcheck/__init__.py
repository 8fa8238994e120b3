"""Is a hand-written gradient right, which entry is wrong, and why?"""

from gradcheck.checking.check import assert_gradient, check_gradient
from gradcheck.checking.finite_difference import (
    Derivative,
    directional_derivative,
    numerical_gradient,
)
from gradcheck.checking.report import Entry, Finding, GradientReport

__version__ = "0.1.0"
__all__ = [
    "Derivative",
    "Entry",
    "Finding",
    "GradientReport",
    "assert_gradient",
    "check_gradient",
    "directional_derivative",
    "numerical_gradient",
]
