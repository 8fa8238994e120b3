"""gradcheck: is a hand-written gradient right, which entry is wrong, and why."""

from gradcheck.checking.check import assert_gradient, check_gradient
from gradcheck.checking.finite_difference import (
    Derivative,
    directional_derivative,
    numerical_gradient,
)
from gradcheck.checking.report import Entry, Finding, GradientReport
from gradcheck.checking.step_size import StepSweep, sweep_steps

__version__ = "0.1.0"
__all__ = [
    "Derivative",
    "Entry",
    "Finding",
    "GradientReport",
    "StepSweep",
    "assert_gradient",
    "check_gradient",
    "directional_derivative",
    "numerical_gradient",
    "sweep_steps",
]
