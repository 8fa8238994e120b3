"""A reduced run of the suite, and checks that its own right gradients are right."""

import numpy as np
import pytest

from . import error_bars, other_checks, run, table
from .problems import EPS, leaves
from .right import right_cases
from .suite import Results
from .truth import EXTENDED, one_sided_slopes
from .wrong import plants, wrong_cases

needs_extended = pytest.mark.skipif(not EXTENDED, reason="no extended precision on this machine")


@pytest.fixture(scope="module")
def results() -> Results:
    return run(seeds=2, functions=200, sizes=(1, 10, 1000))


FIGURES = (
    "right gradients accepted",
    "wrong gradients caught",
    "plants in right cases missed, float64",
    "plants in right cases missed, float32",
    "calls beyond 2 P, smooth cases",
    "calls beyond 2 P, P from 1 to 5000",
    "truth within the bar, directional_derivative",
    "bar over true error (median), directional_derivative",
    "truth within the bar, numerical_gradient",
    "bar over true error (median), numerical_gradient",
)


@pytest.mark.parametrize("figure", FIGURES)
def test_figure_is_reached(results: Results, figure: str) -> None:
    (found,) = (row for row in results.figures() if row[0] == figure)
    details = {
        "right": results.false_alarms,
        "wrong": [text for row in results.wrong for text in row.missed],
        "plants": [text for texts in results.missed.values() for text in texts],
        "calls": results.costly,
    }
    assert found[3], "\n".join([*map(str, found), *details.get(figure.split()[0], [])])


def test_every_figure_is_tested(results: Results) -> None:
    assert {row[0] for row in results.figures()} == set(FIGURES)


def test_there_are_enough_cases() -> None:
    assert len(right_cases(0)) >= 75
    assert len(list(wrong_cases(0))) >= 75
    assert len({case.kind for case in right_cases(0)}) >= 10


def test_other_checks_are_right_on_plain_gradients() -> None:
    w = np.array([1.0, -2.0, 0.5])
    for check, _ in other_checks.CHECKS.values():
        assert check(lambda x: np.sum(np.sin(x)), np.cos(w), w) < 1e-7
        assert check(lambda x: np.sum(np.sin(x)), -np.cos(w), w) > 0.5


def test_other_checks_are_counted() -> None:
    totals, counts = other_checks.count()
    assert totals.everyday + totals.hard == sum(c.dtype == "float64" for c in right_cases(0))
    assert totals.wrong > len(list(wrong_cases(0)))
    for c in counts:
        assert c.at_best <= c.blamed_everyday + c.blamed_hard + c.passed


def test_few_plants_are_left_out_and_each_for_its_reason(results: Results) -> None:
    assert sum(results.untold.values()) <= 0.02 * sum(row.planted for row in results.right)
    reasons: dict[str, set[str]] = {}
    for case in right_cases(1):
        for plant in plants(case, 1) if case.dtype == "float64" and not case.at_minimum else ():
            reasons.setdefault(plant.left_out, set()).add(case.name)
    assert set(reasons) == {"", "between the two slopes at a kink, where nothing is wrong"}
    at_kink = {case.name for case in right_cases(1) if case.at_kink}
    assert reasons["between the two slopes at a kink, where nothing is wrong"] <= at_kink


def test_a_plant_that_noise_hides_is_left_out() -> None:
    (noisy,) = (case for case in right_cases(11) if case.name == "noise of 1e-5")
    hidden = {plant.name: plant.left_out for plant in plants(noisy, 11)}
    assert hidden["one array 10 %"] == "smaller than what the noise of the loss hides"
    assert hidden["negated"] == ""


def test_tables_have_a_row_for_each_case(results: Results) -> None:
    assert len(table(results, "right").splitlines()) == 2 + len(right_cases(0))
    with pytest.raises(ValueError, match="`rows` is 'x'"):
        table(results, "x")


@needs_extended
@pytest.mark.parametrize("seed", [0, 1])
def test_right_gradients_are_right(seed: int) -> None:
    wrong = []
    for case in right_cases(seed):
        gradient = leaves(case.grad(case.x0, *case.args))
        largest = max(np.abs(g).max() for g in gradient)
        eps = np.finfo(np.float32).eps if case.dtype == "float32" else EPS
        for g, (back, forth, bar) in zip(gradient, one_sided_slopes(case), strict=True):
            low, high = np.minimum(back, forth), np.maximum(back, forth)
            if case.at_kink:  # anything between the two slopes is right
                miss = np.maximum(low - g, g - high)
            else:
                miss = np.maximum(np.abs(low - g), np.abs(high - g))
            relative = 1e-5 if case.dtype == "float32" else 1e-8
            # At a minimum the terms of a sum of size 1 cancel: their rounding is all there is.
            size = max(largest, 1.0) if case.at_minimum else largest
            if not np.all(miss <= 3 * bar + relative * np.abs(g) + 30 * eps * size):
                wrong.append(case.name)
            sharp = case.at_minimum or case.kind == "kink"
            if not sharp and np.any(bar > 1e-5 * np.abs(g) + 1e-6 * largest):
                wrong.append(f"{case.name}: not known well enough")
    assert wrong == []


def test_the_flags_of_the_cases_are_true() -> None:
    for case in right_cases(3):
        value, gradient = case.fun(case.x0, *case.args), case.grad(case.x0, *case.args)
        if case.kind == "float32" and "inside" not in case.name:
            assert np.asarray(value).dtype == np.float32, case.name
            assert {g.dtype for g in leaves(gradient)} == {np.dtype(np.float32)}, case.name
        if case.at_minimum:
            assert all(np.all(np.abs(g) < 1e-14) for g in leaves(gradient)), case.name
        shapes = [[a.shape for a in leaves(tree)] for tree in (gradient, case.x0)]
        assert shapes[0] == shapes[1], case.name


def test_wrong_gradients_are_wrong() -> None:
    for case in wrong_cases(0):
        pairs = zip(leaves(case.grad(case.x0, *case.args)), leaves(case.right), strict=True)
        assert any(np.any(~(np.abs(w - r) <= 5e-6 * np.abs(r))) for w, r in pairs), case.name


def test_plants_change_the_gradient() -> None:
    for case in right_cases(0):
        if case.at_minimum:
            continue
        right = leaves(case.grad(case.x0, *case.args))
        for plant in plants(case, 0):
            wrong = leaves(plant.gradient)
            changed = [k for k in range(len(right)) if np.any(right[k] != wrong[k])]
            assert set(changed) <= set(plant.arrays), case.name
            assert changed or plant.left_out, case.name


@needs_extended
def test_derivatives_of_the_random_functions_are_right() -> None:
    for f in error_bars.functions(50, seed=7):
        for i, derivative in enumerate(f.gradient):
            x = f.x0.astype(np.longdouble)
            slopes = []
            for h in 1e-4 * abs(x[i]) * np.array([1, 2], dtype=np.longdouble):
                up, down = x.copy(), x.copy()
                up[i] += h
                down[i] -= h
                slopes.append((f.fun(up) - f.fun(down)) / (2 * h))
            numerical = slopes[0] + (slopes[0] - slopes[1]) / 3
            assert abs(numerical - derivative) <= 1e-7 * np.abs(f.gradient).max()


def test_coverage_sees_a_bar_that_is_too_small_or_too_wide() -> None:
    rng = np.random.default_rng(0)
    truths = rng.normal(size=1000)
    misses = 1e-9 * rng.normal(size=1000)
    small = error_bars.coverage(truths + misses, np.full(1000, 1e-9), truths)
    wide = error_bars.coverage(truths + misses, np.full(1000, 1e-3), truths)
    assert small.covered < 999
    assert wide.covered == 1000
    assert wide.median_ratio > 30
