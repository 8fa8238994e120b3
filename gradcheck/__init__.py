"""gradcheck: is a hand-written gradient right, which entry is wrong, and why."""

from gradcheck.check import assert_backward, assert_gradient, check_backward, check_gradient
from gradcheck.explaining.evidence import Finding
from gradcheck.judging.table import Entry
from gradcheck.measuring.derivatives import Derivative, directional_derivative, numerical_gradient
from gradcheck.measuring.sweep import StepSweep, sweep_steps
from gradcheck.reporting.report import GradientReport

__version__ = "0.1.0"
__all__ = [
    "Derivative",
    "Entry",
    "Finding",
    "GradientReport",
    "StepSweep",
    "assert_backward",
    "assert_gradient",
    "check_backward",
    "check_gradient",
    "directional_derivative",
    "numerical_gradient",
    "sweep_steps",
]
