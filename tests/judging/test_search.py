"""All entries at once: a right gradient costs a few calls, and the wrong entries are named."""

import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck import GradientReport, check_gradient
from gradcheck.explaining.columns import Explained
from gradcheck.learning import neural_network
from tests.benchmarks.__main__ import MEDIUM, plant
from tests.benchmarks.__main__ import network as benchmark_network


def check(fun: Callable[..., Any], grad: Any, x0: Any, **options: Any) -> GradientReport:
    return check_gradient(fun, grad, x0, method="directions", **options)


def smooth(x: Any) -> Any:
    return np.sum(np.sin(x) + 0.3 * x**2)


def slope(x: Any) -> Any:
    return np.cos(x) + 0.6 * x


def names(report: GradientReport) -> list[str]:
    return sorted(entry.name for entry in report.wrong)


def network(seed: int, dtype: Any = np.float64) -> tuple[Any, ...]:
    """Return fun, grad, x0, args of a network of a few thousand parameters."""
    rng = np.random.default_rng(seed)
    layers = [int(rng.integers(5, 40)), int(rng.integers(10, 60)), int(rng.integers(5, 40)), 3]
    x0 = neural_network.initial_parameters(layers, rng, dtype)
    for key in x0:
        x0[key] = x0[key] + dtype(0.1) * rng.normal(size=x0[key].shape).astype(dtype)
    X = rng.normal(size=(20, layers[0])).astype(dtype)
    y = rng.integers(0, 3, size=20)
    return neural_network.loss, neural_network.gradient, x0, (X, y)


# ---------------------------------------------------------------- a right gradient


@pytest.mark.parametrize("size", [1, 2, 3, 10, 100, 3_000, 100_000])
@pytest.mark.parametrize("seed", range(3))
def test_a_right_gradient_passes_in_a_few_calls_whatever_its_size(size: int, seed: int) -> None:
    x0 = np.random.default_rng([seed, size]).normal(size=size)
    report = check(smooth, slope, x0)
    assert report.passed
    assert report.complete
    assert report.wrong == report.unresolved == ()
    assert len(report.entries) == 0
    assert report.nfev <= 40


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e8])
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_networks_pass_at_every_scale_of_the_loss(seed: int, factor: float, hidden: str) -> None:
    fun, grad, x0, args = network(seed)

    def scaled(*a: Any) -> Any:
        return {k: factor * g for k, g in grad(*a, hidden).items()}

    report = check(lambda *a: factor * fun(*a, hidden), scaled, x0, args=args)
    assert report.passed, str(report)
    assert report.wrong == ()
    assert set(report.resolution) == set(x0)


@pytest.mark.parametrize("seed", range(5))
def test_float32_networks_pass(seed: int) -> None:
    fun, grad, x0, args = network(seed, np.float32)
    report = check(fun, grad, x0, args=args)
    assert report.passed, str(report)
    negated = {k: -g for k, g in grad(x0, *args).items()}
    assert not check(fun, negated, x0, args=args)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_units_of_the_parameters_may_differ_from_array_to_array(scale: float) -> None:
    rng = np.random.default_rng(0)
    x0 = {"a": rng.normal(size=200), "b": scale * rng.normal(size=300)}

    def fun(p: Any) -> Any:
        return smooth(p["a"]) + smooth(p["b"] / scale)

    right = {"a": slope(x0["a"]), "b": slope(x0["b"] / scale) / scale}
    assert check(fun, right, x0)
    for key in x0:
        wrong = {k: g.copy() for k, g in right.items()}
        i = int(np.argmax(np.abs(wrong[key])))
        wrong[key][i] *= 1.01
        assert names(check(fun, wrong, x0)) == [f"{key}[{i}]"]


# ---------------------------------------------------------------- wrong entries are named


@pytest.mark.parametrize("size", [2, 5, 10, 64, 100, 1_000, 10_000])
@pytest.mark.parametrize("error", [1.0, -2.0, 0.01, 1e-3])
def test_one_wrong_entry_is_named_and_no_other(size: int, error: float) -> None:
    for seed in range(3):
        rng = np.random.default_rng([seed, size])
        x0 = rng.normal(size=size)
        wrong = slope(x0)
        typical = np.sqrt(np.mean(wrong**2))
        i = int(rng.choice(np.flatnonzero(np.abs(wrong) > 0.2 * typical)))
        wrong[i] *= 1 + error
        report = check(smooth, wrong, x0)
        assert names(report) == [f"[{i}]"]
        assert not report.passed
        assert report.complete
        assert report.nfev <= 250


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(10))
def test_several_wrong_entries_in_several_arrays(k: int, seed: int) -> None:
    fun, grad, x0, args = network(seed)
    rng = np.random.default_rng([seed, k])
    wrong = grad(x0, *args)
    planted: set[str] = set()
    while len(planted) < k:
        key = str(rng.choice(sorted(wrong)))
        typical = np.sqrt(np.mean(wrong[key] ** 2))
        index = tuple(int(rng.integers(n)) for n in wrong[key].shape)
        name = f"{key}[{', '.join(map(str, index))}]"
        if name not in planted and abs(wrong[key][index]) > 0.2 * typical:
            wrong[key][index] *= 1 + 10.0 ** rng.uniform(-2, 0)
            planted.add(name)
    report = check(fun, wrong, x0, args=args)
    assert set(names(report)) == planted
    assert not report.passed


@pytest.mark.parametrize("seed", range(20))
def test_errors_that_plus_minus_one_would_cancel_are_seen(seed: int) -> None:
    """Two equal errors: along random signs their sum is exactly 0 half of the time."""
    x0 = np.ones(64)
    wrong = np.ones(64)
    i, j = np.random.default_rng(seed).choice(64, 2, replace=False)
    wrong[i] += 0.5
    wrong[j] += 0.5
    report = check(np.sum, wrong, x0, rng=seed)
    assert names(report) == sorted([f"[{i}]", f"[{j}]"])


def test_the_wrong_entry_is_named_in_every_corner() -> None:
    x0: Any = {"a": np.ones((3, 5)), "b": np.ones(1), "c": [np.array(1.0), np.ones((2, 2, 2))]}

    def fun(p: Any) -> Any:
        return smooth(p["a"]) + smooth(p["b"]) + smooth(p["c"][0]) + smooth(p["c"][1])

    def right() -> Any:
        return {
            "a": slope(x0["a"]),
            "b": slope(x0["b"]),
            "c": [np.array(slope(x0["c"][0])), slope(x0["c"][1])],
        }

    assert check(fun, right(), x0)
    plants: dict[str, Callable[[Any], Any]] = {
        "a[0, 0]": lambda g: (g["a"], (0, 0)),
        "a[2, 4]": lambda g: (g["a"], (2, 4)),
        "b[0]": lambda g: (g["b"], 0),
        "c[0]": lambda g: (g["c"][0], ()),
        "c[1][1, 1, 1]": lambda g: (g["c"][1], (1, 1, 1)),
    }
    for name, planted in plants.items():
        wrong = right()
        array, index = planted(wrong)
        array[index] = -array[index]
        assert names(check(fun, wrong, x0)) == [name]


@pytest.mark.parametrize("seed", range(10))
def test_a_right_entry_is_never_named(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fun, grad, x0, args = network(seed)
    right, wrong = grad(x0, *args), grad(x0, *args)
    for key in rng.choice(sorted(x0), 2, replace=False):
        flat = wrong[key].reshape(-1)
        chosen = rng.choice(flat.size, max(1, flat.size // int(rng.integers(2, 30))), replace=False)
        flat[chosen] *= rng.uniform(1.1, 3)
    report = check(fun, wrong, x0, args=args)
    assert not report.passed
    assert report.wrong
    differs = {
        f"{key}[{', '.join(map(str, index))}]"
        for key in x0
        for index in zip(*map(np.ndarray.tolist, np.nonzero(right[key] != wrong[key])), strict=True)
    }
    assert set(names(report)) <= differs


@pytest.mark.parametrize("seed", range(5))
def test_an_array_that_hardly_moves_the_loss_gets_a_direction_of_its_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x0 = {"a": rng.normal(size=200), "b": rng.normal(size=300)}

    def fun(p: Any) -> Any:
        return 1e4 * smooth(p["a"]) + 1e-4 * smooth(p["b"])

    right = {"a": 1e4 * slope(x0["a"]), "b": 1e-4 * slope(x0["b"])}
    report = check(fun, right, x0)
    assert report.passed
    assert report.resolution["b"] < 0.3
    wrong = {"a": right["a"], "b": right["b"].copy()}
    i = int(np.argmax(np.abs(wrong["b"])))
    wrong["b"][i] *= 1.5
    assert names(check(fun, wrong, x0)) == [f"b[{i}]"]


@pytest.mark.parametrize("seed", range(5))
def test_the_rounding_of_a_float32_gradient_is_not_an_error_of_it(seed: int) -> None:
    x0 = np.random.default_rng(seed).normal(size=3_000)
    report = check(smooth, slope(x0).astype(np.float32), x0, rtol=1e-6)
    assert report.passed, str(report)
    assert len(report.entries) == 0  # nothing had to be looked at
    assert report.nfev <= 40


@pytest.mark.parametrize("size", [3_000, 30_000])
@pytest.mark.parametrize("off", [3e-7, "float32"])
def test_a_gradient_that_is_right_within_rtol_passes_and_is_not_called_blind(
    size: int, off: Any
) -> None:
    """Each entry agrees; along a direction, what is left of all of them adds up."""
    x0 = np.random.default_rng(size).normal(size=size)
    near = slope(x0).astype(np.float32) if off == "float32" else slope(x0) * (1 + off)
    near = near.astype(float)
    report = check(smooth, near, x0)
    assert report.passed
    assert report.nfev <= 250
    assert report.resolution[""] < 1e-3
    near[7] += 0.5
    report = check(smooth, near, x0)
    assert names(report) == ["[7]"]


@pytest.mark.parametrize("seed", range(5))
def test_an_entry_counts_by_the_size_of_its_parameter(seed: int) -> None:
    """Units differ within an array: no entry may drown the others along a direction."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-2, 3, size=500)
    x0 = scale * rng.uniform(0.5, 2, size=500)
    wrong = slope(x0 / scale) / scale
    i = int(np.argmax(scale * (np.abs(wrong * scale) > 0.5)))
    wrong[i] *= 1.5
    assert names(check(lambda w: smooth(w / scale), wrong, x0)) == [f"[{i}]"]


@pytest.mark.parametrize(("count", "calls"), [(1, 45), (3, 100), (5, 150)])
def test_a_few_wrong_entries_among_ten_thousand_are_named_in_few_calls(
    count: int, calls: int
) -> None:
    for seed in range(10):
        params, args = benchmark_network(MEDIUM, seed)
        right = neural_network.gradient(params, *args)
        wrong, planted = plant(right, count, None, np.random.default_rng(seed))
        report = check_gradient(neural_network.loss, wrong, params, args=args, rng=seed)
        assert set(names(report)) == planted
        assert report.nfev <= calls


def test_wrong_entries_among_many_that_are_a_little_off() -> None:
    """A gradient in float32 of a program in float64: each entry within `rtol`, together not."""
    x0 = np.random.default_rng(0).normal(size=(150, 200))
    wrong = slope(x0).astype(np.float32).astype(float)
    wrong[7, 11] += 0.5
    wrong[99, 3] += 0.02
    report = check(smooth, wrong, x0)
    assert names(report) == ["[7, 11]", "[99, 3]"]
    assert report.nfev <= 400


def test_what_no_entry_explains_leaves_the_check_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off along every direction, and right entry by entry: the two cannot both be believed."""
    x0 = np.random.default_rng(0).normal(size=3_000)

    def fun(w: Any) -> Any:  # with a term that no single entry can show
        together = np.count_nonzero(w != x0) > 2_000
        return smooth(w) + together * 1e-3 * np.sum(np.sign(w - x0) * (w - x0))

    monkeypatch.setattr("gradcheck.judging.search.PATIENT", 100)
    report = check(fun, slope(x0), x0)
    assert report.wrong == ()
    assert not report.passed or min(report.resolution.values()) > 1


# ---------------------------------------------------------------- wrong throughout


@pytest.mark.parametrize("key", ["W1", "b1", "W2", "W3"])
def test_an_array_that_is_wrong_throughout_is_named_by_a_sample(key: str) -> None:
    fun, grad, x0, args = network(3)
    wrong = grad(x0, *args)
    wrong[key] = 1.5 * wrong[key]
    report = check(fun, wrong, x0, args=args)
    assert not report.passed
    assert report.wrong
    assert all(name.startswith(f"{key}[") for name in names(report))
    assert report.nfev < 400
    if x0[key].size > 200:
        assert not report.complete
        assert f"entries sampled in {key}," in " ".join(report.notes)


@pytest.mark.parametrize("factor", [-1.0, 0.0, 1 / 20, 20.0])
def test_a_gradient_that_is_wrong_everywhere(factor: float) -> None:
    fun, grad, x0, args = network(4)
    wrong = {k: factor * g for k, g in grad(x0, *args).items()}
    report = check(fun, wrong, x0, args=args)
    assert not report.passed
    assert report.findings
    assert report.nfev < 1_500  # 20 entries of each array, examined to the end


@pytest.mark.parametrize("shape", [(100, 300), (300, 100), (64, 64)])
@pytest.mark.parametrize("line", ["row", "column"])
def test_one_wrong_row_or_column_of_a_large_matrix(shape: tuple[int, int], line: str) -> None:
    rng = np.random.default_rng(shape[0])
    x0 = {"W": rng.normal(size=shape), "b": rng.normal(size=50)}
    wrong = {k: slope(x) for k, x in x0.items()}
    k = int(rng.integers(min(shape)))
    where = (k, slice(None)) if line == "row" else (slice(None), k)
    wrong["W"][where] *= 1.2
    report = check(lambda p: smooth(p["W"]) + smooth(p["b"]), wrong, x0)
    assert not report.passed
    at = 0 if line == "row" else 1
    found = [entry.name[2:-1].split(", ") for entry in report.wrong]
    assert len(found) > 3
    if max(shape) >= 300:
        assert report.nfev <= 450  # a column is followed as one, not entry by entry
    assert {int(index[at]) for index in found} == {k}
    expected = f"W[{k}, :]" if line == "row" else f"W[:, {k}]"
    assert any(expected in f.where for f in report.findings) or f"W, {line} {k}" in str(report)


# ---------------------------------------------------------------- the cap


@pytest.mark.parametrize("cap", [1, 3, 7])
def test_the_search_stops_at_max_wrong_and_says_so(cap: int) -> None:
    rng = np.random.default_rng(0)
    x0 = rng.normal(size=5_000)
    wrong = slope(x0)
    planted = rng.choice(5_000, 12, replace=False)
    wrong[planted] += 0.5
    report = check(smooth, wrong, x0, max_wrong=cap)
    assert not report.passed
    assert cap <= len(report.wrong) < 12
    assert set(names(report)) <= {f"[{i}]" for i in planted}
    assert not report.complete
    assert f"max_wrong={cap}" in str(report)
    assert "at least" in report.headline()


def test_below_the_cap_the_search_is_complete() -> None:
    rng = np.random.default_rng(0)
    x0 = rng.normal(size=5_000)
    wrong = slope(x0)
    planted = rng.choice(5_000, 12, replace=False)
    wrong[planted] += 0.5
    report = check(smooth, wrong, x0)
    assert names(report) == sorted(f"[{i}]" for i in planted)
    assert report.complete
    assert "max_wrong" not in str(report)


# ---------------------------------------------------------------- not finite, empty, edges


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("count", [1, 4, 50])
def test_entries_that_are_not_finite_are_named(value: float, count: int) -> None:
    rng = np.random.default_rng(count)
    x0 = rng.normal(size=3_000)
    wrong = slope(x0)
    planted = rng.choice(3_000, count, replace=False)
    wrong[planted] = value
    report = check(smooth, wrong, x0, max_wrong=20)
    assert not report.passed
    assert len(report.wrong) == min(count, 20)
    assert set(names(report)) <= {f"[{i}]" for i in planted}
    assert report.complete is (count < 20)
    assert "WRONG" in str(report)


def test_an_entry_that_is_not_finite_hides_no_other() -> None:
    x0 = np.random.default_rng(0).normal(size=3_000)
    wrong = slope(x0)
    wrong[7], wrong[1234] = np.nan, wrong[1234] + 0.5
    assert names(check(smooth, wrong, x0)) == ["[1234]", "[7]"]


@pytest.mark.parametrize("order", ["first", "last", "both"])
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_an_empty_array_beside_others(order: str, factor: float) -> None:
    x0 = {"w": np.linspace(0.5, 1.5, 30)}
    if order != "last":
        x0 = {"e": np.zeros((0, 3)), **x0}
    if order != "first":
        x0 = {**x0, "f": np.zeros(0)}
    for method in ("directions", "entries"):
        report = check_gradient(
            lambda p: smooth(p["w"]),
            lambda p: {k: factor * slope(v) for k, v in p.items()},
            x0,
            method=method,
        )
        assert report.passed is (factor == 1.0)
        assert len(report.wrong) > 0 or factor == 1.0
        assert all(entry.name.startswith("w[") for entry in report.wrong)
        assert "not finite" not in str(report)


def test_a_loss_that_is_finite_nowhere_near_by_is_unresolved_and_says_why() -> None:
    x0 = np.ones(3_000)
    report = check(lambda w: 1.0 if np.all(w == 1) else np.nan, np.zeros(3_000), x0)
    assert not report.passed
    assert report.wrong == ()
    assert "UNRESOLVED" in report.headline()
    assert not report.headline().endswith(": .")
    assert "not finite" in str(report)


def test_a_gradient_of_zeros_at_a_minimum_passes_and_says_that_nothing_was_seen() -> None:
    report = check(lambda w: np.sum(w**4), np.zeros(3_000), np.zeros(3_000))
    assert report.passed
    assert "Nothing to tell right from wrong" in str(report)


def test_a_forgotten_gradient_is_seen() -> None:
    fun, grad, x0, args = network(5)
    wrong = grad(x0, *args)
    wrong["W2"] = np.zeros_like(wrong["W2"])
    report = check(fun, wrong, x0, args=args)
    assert not report.passed
    assert all(name.startswith("W2[") for name in names(report))


def test_kinks_at_the_point_are_no_false_alarm_and_hide_no_wrong_sign() -> None:
    def fun(w: Any) -> Any:
        return np.sum(np.abs(w)) + np.sum(3 * w)

    for size in (30, 3_000):
        report = check(fun, np.full(size, 3.0), np.zeros(size))
        assert report.passed, str(report)
        assert "kink" in str(report)
        assert "looked at one by one" in " ".join(str(report).split())
        assert check(fun, np.full(size, -3.0), np.zeros(size)).wrong


# ---------------------------------------------------------------- resolution, chance


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_error_of_1_05_times_the_resolution_is_caught(dtype: Any) -> None:
    caught = []
    for seed in range(13):
        fun, grad, x0, args = network(seed, dtype)
        right, rng = grad(x0, *args), np.random.default_rng(seed)
        report = check(fun, right, x0, args=args)
        assert report.passed
        for key in x0:
            wrong = {k: g.copy() for k, g in right.items()}
            index = tuple(int(rng.integers(n)) for n in x0[key].shape)
            typical = np.sqrt(np.mean(right[key].astype(float) ** 2))
            sign = rng.choice([-1.05, 1.05])
            wrong[key][index] += dtype(sign * report.resolution[key] * typical)
            caught.append(not check(fun, wrong, x0, args=args))
    assert len(caught) == 78
    assert np.mean(caught) >= 0.98  # one of them may be bad luck


def test_in_float32_what_could_not_have_been_seen_is_said() -> None:
    rng = np.random.default_rng(0)
    x0 = rng.normal(size=100_000).astype(np.float32)
    report = check(lambda w: np.sum(np.sin(w)), np.cos, x0)
    assert report.passed
    assert report.resolution[""] > 0.01
    assert re.search(
        "may go unseen|would have been seen|cannot judge", " ".join(str(report).split())
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_same_check_says_the_same_twice(seed: int) -> None:
    fun, grad, x0, args = network(seed)
    wrong = grad(x0, *args)
    wrong["W1"][0, 0] += 1.0
    reports = [check(fun, wrong, x0, args=args) for _ in range(2)]
    assert str(reports[0]) == str(reports[1])
    assert reports[0].search == reports[1].search
    reports = [check(fun, wrong, x0, args=args, rng=seed) for _ in range(2)]
    assert str(reports[0]) == str(reports[1])


@pytest.mark.parametrize("rng", [None, 0, 7, np.random.default_rng(1), [1, 2], np.int64(5)])
def test_any_seed_will_do_and_gives_its_own_directions(rng: Any) -> None:
    x0 = np.random.default_rng(0).normal(size=3_000)
    wrong = slope(x0)
    wrong[17] *= 1.5
    report = check(smooth, wrong, x0, rng=rng)
    assert names(report) == ["[17]"]
    if rng is not None and str(rng) != "0":
        assert report.search[0].residual != check(smooth, wrong, x0).search[0].residual


def test_the_search_is_told_step_by_step() -> None:
    x0 = np.random.default_rng(0).normal(size=4_096)
    wrong = slope(x0)
    wrong[1000] *= 2
    report = check(smooth, wrong, x0)
    first, ramp, *rest = report.search
    assert (first.size, first.active, first.ramp) == (4_096, True, "")
    assert (ramp.size, ramp.ramp) == (4_096, "columns")
    assert ramp.ratio == pytest.approx(ramp.residual / first.residual)
    assert round((ramp.ratio - 0.5) * 4_095) == 1000  # the ratio is the place
    assert [step.active for step in rest] == [False, False]
    assert all((abs(s.residual) > s.allowed) is s.active for s in report.search)


# ---------------------------------------------------------------- tolerances


def test_the_absolute_tolerance_excuses_an_entry() -> None:
    x0 = np.random.default_rng(0).normal(size=500)
    wrong = slope(x0)
    wrong[3] += 1e-3
    assert not check(smooth, wrong, x0)
    assert check(smooth, wrong, x0, atol=2e-3)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-12])
def test_the_wrong_sign_never_passes_because_the_loss_is_small(scale: float) -> None:
    x0 = np.random.default_rng(0).normal(size=3_000)
    assert check(lambda w: scale * smooth(w), lambda w: scale * slope(w), x0)
    report = check(lambda w: scale * smooth(w), lambda w: -scale * slope(w), x0)
    assert not report.passed
    assert report.wrong


def test_a_wider_tolerance_lets_small_errors_pass() -> None:
    x0 = np.random.default_rng(0).normal(size=500)
    report = check(smooth, lambda w: slope(w) * (1 + 1e-4), x0, rtol=1e-2)
    assert report.wrong == ()
    assert not check(smooth, lambda w: slope(w) * (1 + 1e-4), x0)


# ---------------------------------------------------------------- memory


def peak_in_vectors(gradient: np.ndarray, x0: np.ndarray) -> float:
    """Check a loss that itself needs next to nothing; return the peak of what was allocated."""
    tracemalloc.start()
    try:
        check(lambda w: 0.5 * float(w @ w), gradient, x0)
        return tracemalloc.get_traced_memory()[1] / x0.nbytes
    finally:
        tracemalloc.stop()


def test_peak_memory_of_a_right_gradient_is_a_few_vectors() -> None:
    x0 = np.random.default_rng(0).normal(size=1_000_000)
    assert peak_in_vectors(x0.copy(), x0) <= 5.5


def test_peak_memory_of_a_search_for_a_wrong_entry_is_a_few_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the search: the diagnosis, which comes after it, takes more (the benchmarks print it)."""
    monkeypatch.setattr("gradcheck.check.explain", lambda *_, **__: Explained())
    x0 = np.random.default_rng(0).normal(size=1_000_000)
    gradient = x0.copy()
    gradient[777] += 1.0
    assert peak_in_vectors(gradient, x0) <= 8


def test_no_step_so_short_that_rounding_turns_it_aside() -> None:
    w = np.array([0.8, 0.5, 0.8, 0.0, 1.3, 1.1, 1.2, 0.7])
    right = np.zeros(8)
    right[3] = np.prod(np.delete(w, 3))
    assert check_gradient(np.prod, right, w, method="directions").passed
    wrong = right.copy()
    wrong[5] = 0.16
    assert not check_gradient(np.prod, wrong, w, method="directions").passed


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_resolution_counts_what_a_large_entry_may_hide_within_rtol(share: float) -> None:
    rng = np.random.default_rng(0)
    scale, x0 = np.ones(500), rng.normal(size=500)
    scale[7] = 1000.0
    right = scale * np.cos(x0)
    wrong = right.copy()
    wrong[7] *= 1 + share * 1e-6
    report = check_gradient(lambda w: scale @ np.sin(w), wrong, x0, method="directions")
    hidden = abs(wrong[7] - right[7]) / np.sqrt(np.mean(right**2))
    assert report.passed
    assert report.resolution[""] >= 0.9 * hidden


def test_resolution_counts_the_entries_that_were_looked_at() -> None:
    x0 = np.array([0.0, 0.0, 0.0, 0.8, -0.3, -0.07])
    right = 1.1 * np.abs(x0) ** 0.1 * np.sign(x0) + 1

    def fun(w: Any) -> Any:
        return np.sum(np.abs(w) ** 1.1 + w)

    wrong = right.copy()
    wrong[2] *= 1.001
    report = check_gradient(fun, wrong, x0, method="directions")
    assert not report.passed or report.resolution[""] > 1e-3 / np.sqrt(np.mean(right**2))


@pytest.mark.parametrize("method", ["entries", "directions"])
@pytest.mark.parametrize("seed", range(10))
def test_waves_far_shorter_than_the_parameter(seed: int, method: Any) -> None:
    x0 = 1.7e9 + np.random.default_rng(seed).normal(size=5)
    right = np.cos(x0 - 1.7e9)

    def fun(w: Any) -> Any:
        return np.sum(np.sin(w - 1.7e9))

    assert not check_gradient(fun, right, x0, method=method).wrong  # at worst unresolved
    assert not check_gradient(fun, -right, x0, method=method).passed


def test_entries_that_nobody_looked_at_are_not_vouched_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Along kinks at 0 a direction cannot judge, and of very many entries only some are sampled."""
    monkeypatch.setattr("gradcheck.judging.search.PATIENT", 150)
    x0 = np.concatenate([np.zeros(150), np.random.default_rng(0).normal(size=50)])
    right = np.sign(x0) + 2 * x0
    report = check_gradient(lambda w: np.sum(np.abs(w) + w**2), right, x0, method="directions")
    assert report.passed
    assert not report.complete
    assert report.resolution[""] == np.inf
