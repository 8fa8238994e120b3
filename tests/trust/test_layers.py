"""The zoo's layers as people hold them, forward and backward: right ones pass, bugs are caught."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from gradcheck import check_backward
from gradcheck.judging.table import Verdict

from .zoo import LAYERS, Case, cases

RIGHT = [
    case
    for case in cases(precisions=("float64",), kinds=("normal", "zeros"), sizes=("small",))
    if isinstance(case.upstream, tuple) or case.upstream.ndim  # one number is a loss, no layer
]


def check(case: Case, method: Any, cache: bool, bug: str = "") -> Any:
    layer, inputs = case.layer, tuple(case.inputs.values())
    if cache:
        backward = partial(layer.backward, bug=bug)
        return check_backward(layer.forward, backward, inputs, cache=True, method=method)
    vjp = partial(layer.vjp, bug=bug)
    return check_backward(lambda *given: layer.forward(*given)[0], vjp, inputs, method=method)


def test_most_of_the_zoo_are_layers() -> None:
    assert len({case.layer.name for case in RIGHT}) > 0.6 * len(LAYERS)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("method", ["entries", "directions"])
@pytest.mark.parametrize("case", RIGHT, ids=lambda case: f"{case.layer.name}-{case.kind}")
def test_a_right_layer_passes_and_each_bug_is_caught_where_it_is(
    case: Case, method: Any, cache: bool
) -> None:
    report = check(case, method, cache)
    assert report.passed, report
    arrays = list(case.x0)  # by their place: a layer may call its inputs otherwise
    names = report.entries.names
    assert len(names) == len(arrays)
    for bug in case.layer.bugs:
        report = check(case, method, cache, bug.name)
        assert not report.passed, bug.name
        wrong = {names.index(name) for name in report.arrays_with(Verdict.WRONG)}
        meant = {arrays.index(name) for name in bug.wrong.split()}
        assert wrong <= meant, bug.name
        if report.complete:
            assert wrong == meant, bug.name
