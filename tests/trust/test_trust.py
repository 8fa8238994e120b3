"""The suite's figures are reached, and it checks that its own right gradients are right."""

import numpy as np
import pytest

from . import error_bars, other_checks
from .__main__ import main
from .levels import REACHED
from .measure import Figure, Pair, figures, general, hard_jobs, table, zoo_jobs
from .outcomes import METHODS, PRECISIONS, Outcome, Subject
from .parallel import run_all
from .problems import EPS, leaves
from .right import right_cases
from .truth import EXTENDED, one_sided_slopes
from .unclear import unclear_cases
from .wrong import plants, wrong_cases
from .zoo import LAYERS

needs_extended = pytest.mark.skipif(not EXTENDED, reason="no extended precision on this machine")


ONCE = pytest.mark.xdist_group("trust")  # the outcomes serve several tests
PAIRS = [(precision, method) for precision in PRECISIONS for method in METHODS]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """One seed: hard cases, the zoo in its smallest size, and a third of it in its middle one."""
    todo = [*hard_jobs([0]), *zoo_jobs([0], sizes=["small"])]
    for j, precision in enumerate(PRECISIONS):
        third = list(LAYERS)[j::3]
        todo += zoo_jobs([1], third, [precision], ["directions"], sizes=["medium"])
    return list(run_all(todo))


@ONCE
@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_figures_are_no_worse_than_they_were(outcomes: list[Outcome], pair: Pair) -> None:
    rows = figures(outcomes)[pair]
    levels = REACHED.get(pair, {})
    assert levels.keys() <= {row.name for row in rows}
    short = [str(o) for o in outcomes if (o.subject.precision, o.method) == pair and o.falls_short]
    worse = [row for row in rows if not row.holds(levels.get(row.name, row.goal))]
    assert not worse, "\n".join([*map(str, worse), *short])


@ONCE
def test_levels_are_no_better_than_their_goals(outcomes: list[Outcome]) -> None:
    for pair, rows in figures(outcomes).items():
        goals = {row.name: row for row in rows}
        for name, level in REACHED.get(pair, {}).items():
            assert not goals[name]._replace(value=level).reached, f"{pair} {name}: leave it out"


def test_error_bars_and_calls_by_size() -> None:
    for row in general(functions=200, sizes=(1, 10, 1000)):
        assert row.reached, row


def test_a_step_back_is_seen() -> None:
    about = Subject("x", "kind", "float64", 60, True, 0)
    passed = Outcome(about, "entries", "right", "", (), "passed", 130)
    wrong = passed._replace(verdict="wrong", calls=900)
    missed = passed._replace(what="wrong", planted="sign", arrays=("x",))
    false = missed._replace(verdict="wrong", named=("x", "y"), told="false")
    rows = {r.name: r for r in figures([passed, wrong, missed, false])["float64", "entries"]}
    assert rows["right: passed"].value == 50
    assert rows["right: called wrong, or refused"].value == 50
    assert rows["right: more calls than the limit"].value == 50
    assert rows["wrong: caught"].value == 50
    assert rows["wrong or planted: passed without a word"].value == 50
    assert rows["wrong or planted: a right array named"].value == 50
    assert rows["findings: a cause that is false"].value == 100
    assert rows["smooth: calls beyond 2 P, at most"].value == 10
    assert [o.falls_short != "" for o in (passed, wrong, missed, false)] == [
        False,
        True,
        True,
        True,
    ]
    assert "| right: passed | 1 of 2 | 50.0 % | at least 100 % | NO |" in table(list(rows.values()))


def test_nine_seeds_show_everything_once() -> None:
    seen = [job[1][0] for job in zoo_jobs(range(9), methods=["directions"])]
    shown = {(c.layer.name, c.precision, c.kind, c.size) for c in seen}
    assert len(shown) == len(seen) >= 35 * 3 * 3 * 3


@pytest.mark.parametrize("option", ["--layer", "--precision", "--method"])
def test_an_unknown_name_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([option, "float46"])
    assert stopped.value.code == 2
    assert "no 'float46'; there are: " in capsys.readouterr().err


def test_a_figure_says_how_far_it_is() -> None:
    assert not Figure("x", 1.0, "", 0.0).reached
    assert Figure("x", 1.0, "", 0.0).holds(2.0)
    assert not Figure("x", 98.0, "", 100.0, at_least=True).holds(99.0)


def test_unclear_losses_are_finite_and_say_nothing() -> None:
    for name, problem, flat in unclear_cases(5):
        gradient, x = problem.grad(problem.x0), problem.x0
        assert np.isfinite(problem.fun(x)), name
        assert np.any(gradient != 0), name
        if flat:
            assert problem.fun(x + 1e-6) == problem.fun(x) == problem.fun(x - 1e-6), name


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


def test_plants_are_left_out_only_where_nothing_is_wrong() -> None:
    reasons: dict[str, set[str]] = {}
    for case in right_cases(1):
        for plant in plants(case, 1) if case.dtype == "float64" and not case.at_minimum else ():
            reasons.setdefault(plant.left_out, set()).add(case.name)
    between = "between the two slopes at a kink, where nothing is wrong"
    hidden = "smaller than what the noise of the loss hides"
    assert reasons.keys() <= {"", between, hidden}
    assert reasons[between] <= {case.name for case in right_cases(1) if case.at_kink}
    nearly_zero = {"beside a minimum where the loss is 0", "bias before a batch norm"}
    assert reasons.get(hidden, set()) <= nearly_zero


def test_a_plant_that_noise_hides_is_left_out() -> None:
    (noisy,) = (case for case in right_cases(11) if case.name == "noise of 1e-5")
    hidden = {plant.name: plant.left_out for plant in plants(noisy, 11)}
    assert hidden["one array 10 %"] == "smaller than what the noise of the loss hides"
    assert hidden["negated"] == ""


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
