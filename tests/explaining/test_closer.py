"""A closer look tells more of what a search found, wherever the loss is called, and ends."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck import GradientReport, check_gradient
from gradcheck.explaining.closer import LOOKS
from gradcheck.judging.table import Verdict
from gradcheck.learning import neural_network
from gradcheck.learning.faults import find
from tests.trust.zoo import cases

rng = np.random.default_rng(0)
PARAMS = neural_network.initial_parameters((100, 90, 10), rng)
for array in PARAMS.values():
    array += 0.05 * rng.normal(size=array.shape)
DATA = rng.normal(size=(20, 100)), rng.integers(10, size=20)


def report(**options: Any) -> GradientReport:
    """What is said of a fault that reaches all arrays, and that no pattern names."""
    gradient = find("one-hot forgotten").gradient
    return check_gradient(neural_network.loss, gradient, PARAMS, args=DATA, **options)


@pytest.fixture(scope="module")
def alone() -> GradientReport:
    return report()


def test_more_entries_are_looked_at_each_once_and_no_end_of_them(alone: GradientReport) -> None:
    names = [entry.name for entry in alone.entries]
    assert len(set(names)) == len(names)
    (note,) = [note for note in alone.notes if note.startswith("To explain what is wrong, ")]
    assert 10 < int(note.split()[5].replace(",", "")) <= sum(together for _, together in LOOKS)


def test_workers_and_progress_take_part(alone: GradientReport) -> None:
    done: list[int] = []
    shared = report(workers=map, progress=lambda calls, _: done.append(calls))
    assert shared.findings == alone.findings
    assert shared.nfev == alone.nfev
    assert done[-1] > 0.9 * shared.nfev


def test_processes_are_still_there(alone: GradientReport) -> None:
    assert report(workers=2).findings == alone.findings


def test_what_is_seen_to_be_wrong_is_not_blind() -> None:
    """Here a search is blind to `b`, and a closer look finds it wrong (so round-off decides)."""
    (case,) = cases(("gru",), ("mixed",), ("normal",), ("small",), (0,))
    case = replace(case, bug="direct path forgotten")
    said = check_gradient(case.fun, case.grad, case.x0, args=case.args, method="directions")
    assert said.arrays_with(Verdict.WRONG)
    assert not set(said.arrays_with(Verdict.WRONG)) & set(said.blind)
