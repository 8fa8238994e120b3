"""Every entry gets the verdict it deserves: right passes, wrong is named, doubt is said."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck import Entry, GradientReport, check_gradient
from gradcheck.learning import neural_network

EPS = 2.0**-52


def check(fun: Callable[..., Any], grad: Any, x0: Any, **options: Any) -> GradientReport:
    return check_gradient(fun, grad, x0, method="entries", **options)


def one(fun: Callable[[float], float], analytic: float, x: float, **options: Any) -> Entry:
    """Check the gradient of a loss of one parameter; return its entry."""
    report = check(lambda w: fun(float(w[0])), np.array([analytic]), np.array([x]), **options)
    return report.entries[0]


def network(seed: int, dtype: Any = np.float64, **sizes: Any) -> tuple[Any, ...]:
    """Return fun, grad, x0, args of a small network with sizes drawn from the seed."""
    rng = np.random.default_rng(seed)
    layers = [int(n) for n in rng.integers(2, 7, size=rng.integers(2, 5))]
    x0 = neural_network.initial_parameters(layers, rng, dtype)
    for key in x0:
        x0[key] = x0[key] + dtype(0.1) * rng.normal(size=x0[key].shape).astype(dtype)
    X = rng.normal(size=(8, layers[0])).astype(dtype)
    y = rng.integers(0, layers[-1], size=8)
    return neural_network.loss, neural_network.gradient, x0, (X, y)


# ---------------------------------------------------------------- the formula

FACTORS = [1.0, -1.0, 1e-6, 1e8, 1e-12]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-8])
@pytest.mark.parametrize("sign", [1, -1])
def test_within_the_relative_tolerance_it_agrees_and_beyond_it_is_wrong(
    factor: float, rtol: float, sign: int
) -> None:
    c = factor * np.array([1.0, -2.0, 0.5, 3.0])
    x0 = np.array([0.3, 0.1, -0.2, 0.7])
    for part, expected in ((0.5, True), (2.0, False)):
        report = check(lambda w: c @ w, c * (1 + sign * part * rtol), x0, rtol=rtol)
        assert report.passed is expected
        assert len(report.wrong) == (0 if expected else 4)


def test_the_larger_of_the_two_values_sets_the_tolerance() -> None:
    assert one(lambda w: w, 1.9, 1.0, rtol=0.5).verdict == "agree"  # 0.9 <= 0.5 * 1.9
    assert one(lambda w: w, 0.51, 1.0, rtol=0.5).verdict == "agree"  # 0.49 <= 0.5 * 1
    assert one(lambda w: w, 2.1, 1.0, rtol=0.5).verdict == "wrong"  # 1.1 > 0.5 * 2.1
    assert one(lambda w: w, 0.49, 1.0, rtol=0.5).verdict == "wrong"


def test_the_absolute_tolerance_excuses_and_is_zero_by_default() -> None:
    def loss(w: float) -> float:
        return 1e-9 * w

    assert one(loss, -1e-9, 1.0, atol=2.1e-9).verdict == "agree"
    assert one(loss, -1e-9, 1.0, atol=1.9e-9).verdict == "wrong"
    assert one(loss, -1e-9, 1.0).verdict == "wrong"


def test_an_entry_says_what_was_compared() -> None:
    entry = one(math.exp, 2.0, 0.5)
    assert entry.name == "[0]"
    assert entry.analytic == 2.0
    assert abs(entry.numerical - math.exp(0.5)) <= entry.error < 1e-6
    assert (entry.verdict, entry.reason) == ("wrong", "gradient")
    assert [type(field) for field in entry] == [str, float, float, float, str, str]


# ---------------------------------------------------------------- right passes, wrong is named


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e8])
def test_a_right_gradient_passes_and_its_negative_does_not(seed: int, factor: float) -> None:
    fun, grad, x0, args = network(seed)

    def scaled(sign: float) -> Callable[..., Any]:
        return lambda *a: {k: sign * factor * g for k, g in grad(*a).items()}

    report = check(lambda *a: factor * fun(*a), scaled(1), x0, args=args)
    assert report.passed
    assert report.wrong == report.unresolved == ()
    report = check(lambda *a: factor * fun(*a), scaled(-1), x0, args=args)
    assert not report.passed
    nonzero = sum(int(np.count_nonzero(g)) for g in grad(x0, *args).values())
    assert len(report.wrong) == nonzero


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("error", [1e-5, 1e-3, 1.0, -2.0])
def test_one_wrong_entry_is_named_and_no_other(seed: int, error: float) -> None:
    fun, grad, x0, args = network(seed)
    rng = np.random.default_rng([seed, 1])
    wrong = grad(x0, *args)
    key = rng.choice(sorted(wrong))
    index = np.unravel_index(int(np.argmax(np.abs(wrong[key]))), wrong[key].shape)
    wrong[key][index] *= 1 + error
    report = check(fun, wrong, x0, args=args)
    assert [e.name for e in report.wrong] == [f"{key}[{', '.join(map(str, index))}]"]
    assert not report.passed


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [1, 2, 3, 17, 100])
def test_several_wrong_entries_are_all_named(seed: int, size: int) -> None:
    rng = np.random.default_rng([seed, size])
    x0 = rng.normal(size=size)
    chosen = np.sort(rng.choice(size, rng.integers(1, size + 1), replace=False))
    wrong = np.cos(x0)
    wrong[chosen] += np.where(rng.random(chosen.size) < 0.5, 0.01, -1.0)
    report = check(lambda w: np.sum(np.sin(w)), wrong, x0)
    assert sorted(e.name for e in report.wrong) == sorted(f"[{i}]" for i in chosen)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("seed", range(3))
def test_a_gradient_that_is_not_finite_is_wrong_and_no_crash(value: float, seed: int) -> None:
    fun, grad, x0, args = network(seed)
    wrong = grad(x0, *args)
    wrong["b1"][0] = value
    report = check(fun, wrong, x0, args=args)
    assert [(e.name, e.reason) for e in report.wrong] == [("b1[0]", "gradient")]
    assert "b1[0]" in str(report)
    everything = {k: np.full_like(g, value) for k, g in wrong.items()}
    report = check(fun, everything, x0, args=args)
    assert len(report.wrong) == report.size
    assert "WRONG" in str(report)


@pytest.mark.parametrize("seed", range(10))
def test_most_entries_exactly_zero(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x0, used = rng.normal(size=60), rng.choice(60, 4, replace=False)
    right = np.zeros(60)
    right[used] = np.cos(x0[used])
    assert check(lambda w: np.sum(np.sin(w[used])), right, x0)
    forgotten = right.copy()
    forgotten[used[0]] = 0.0
    report = check(lambda w: np.sum(np.sin(w[used])), forgotten, x0)
    assert [e.name for e in report.wrong] == [f"[{used[0]}]"]
    invented = right.copy()
    invented[(set(range(60)) - set(used)).pop()] = 1e-3
    assert len(check(lambda w: np.sum(np.sin(w[used])), invented, x0).wrong) == 1


@pytest.mark.parametrize("seed", range(10))
def test_units_that_differ_by_many_orders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-3, 4, size=12)
    x0, c = scale * rng.normal(size=12), rng.uniform(0.5, 2, size=12)

    def fun(w: Any) -> Any:
        return np.sum(np.tanh(c + w / scale))

    right = (1 - np.tanh(c + x0 / scale) ** 2) / scale
    assert check(fun, right, x0), str(check(fun, right, x0))
    alive = np.flatnonzero(np.abs(right * scale) > 1e-2)
    for i in alive:
        wrong = right.copy()
        wrong[i] *= 1.001
        assert [e.name for e in check(fun, wrong, x0).wrong] == [f"[{i}]"]


def test_a_gradient_at_a_minimum_passes_and_it_is_said_that_nothing_could_be_told() -> None:
    report = check(lambda w: np.sum(w**4), np.zeros(5), np.zeros(5))
    assert report.passed
    assert "Nothing to tell right from wrong" in str(report)
    assert not check(lambda w: np.sum(w**2), np.full(5, 1e-3), np.zeros(5))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("constant", [1e3, 1e8])
def test_a_large_constant_in_the_loss_blurs_but_does_not_break(seed: int, constant: float) -> None:
    x0 = np.random.default_rng(seed).normal(size=10)

    def fun(w: Any) -> Any:
        return constant + np.sum(np.sin(w))

    assert check(fun, np.cos(x0), x0)
    assert not check(fun, -np.cos(x0), x0)
    assert not check(fun, 1.1 * np.cos(x0), x0)


# ---------------------------------------------------------------- kinks


@pytest.mark.parametrize(
    ("analytic", "verdict"),
    [
        (-1.01, "wrong"),
        (-1.0, "kink"),
        (-0.3, "kink"),
        (0.7, "kink"),
        (1.0, "kink"),
        (1.01, "wrong"),
        (50.0, "wrong"),
        (math.nan, "wrong"),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_on_a_kink_whatever_lies_between_the_two_slopes_passes(
    analytic: float, verdict: str, scale: float
) -> None:
    entry = one(lambda w: scale * abs(w) + scale, scale * analytic, 0.0)
    assert entry.verdict == verdict
    if verdict == "kink":
        assert entry.reason == "kink"


@pytest.mark.parametrize("x", [1.0, 3.7, -250.0, 1e-7])
def test_a_kink_away_from_zero(x: float) -> None:
    def loss(w: float) -> float:
        return max(2 * w, 3 * (w - x) + 2 * x)  # slopes 2 and 3

    assert one(loss, 2.0, x).verdict == "kink"
    assert one(loss, 3.0, x).verdict == "kink"
    assert one(loss, 1.9, x).verdict == "wrong"
    assert one(loss, 3.1, x).verdict == "wrong"


def test_a_kink_passes_and_is_said() -> None:
    report = check(lambda w: np.sum(np.maximum(w, 0)), np.array([0.0, 1.0]), np.array([0.0, 2.0]))
    assert report.passed
    assert "1 of them on a kink" in report.headline()
    assert "Kink: the loss bends at the point" in str(report)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
@pytest.mark.parametrize("side", [1, -1])
def test_a_kink_beside_the_point_excuses_nothing(distance: float, side: int) -> None:
    def loss(w: float) -> float:
        return abs(w - 1.0)

    x = 1.0 + side * distance
    assert one(loss, side, x).verdict == "agree"
    assert one(loss, -side, x).verdict == "wrong"
    assert one(loss, 0.0, x).verdict == "wrong"


@pytest.mark.parametrize("seed", range(10))
def test_relu_networks_pass_and_their_wrong_gradients_do_not(seed: int) -> None:
    fun, grad, x0, args = network(seed)
    assert check(fun, grad, x0, args=(*args, "relu")), seed
    tanh_instead = grad(x0, *args, "tanh")
    assert not check(fun, tanh_instead, x0, args=(*args, "relu"))


# ---------------------------------------------------------------- domain, truncation, noise


def test_a_loss_that_ends_at_the_point_is_judged_on_the_side_that_is_left() -> None:
    def loss(w: float) -> float:
        return 3 * w + w**2 if w >= 0 else math.nan

    assert one(loss, 3.0, 0.0).verdict == "agree"
    assert one(loss, 3.01, 0.0).verdict == "wrong"
    assert one(loss, -3.0, 0.0).verdict == "wrong"


@pytest.mark.parametrize("x", [1.0, 1e-3, 1e-9])
@pytest.mark.parametrize("outside", [math.nan, math.inf])
def test_near_the_edge_of_the_domain(x: float, outside: float) -> None:
    def barrier(w: float) -> float:
        return w - math.log(w) if w > 0 else outside

    assert one(barrier, 1 - 1 / x, x).verdict == "agree"
    if x != 1.0:  # where the gradient is 0
        assert one(barrier, 1 - 1.001 / x, x).verdict == "wrong"
    assert one(barrier, 1 + 1 / x, x).verdict == "wrong"


@pytest.mark.parametrize("analytic", [0.0, 1.0, -5.0])
def test_nan_all_round_is_unresolved_and_no_proof_against_the_gradient(analytic: float) -> None:
    x0 = np.array([1.0, 2.0])
    report = check(lambda w: w[1] if w[0] == 1.0 else np.nan, np.array([analytic, 1.0]), x0)
    assert not report.passed
    assert report.wrong == ()
    (entry,) = report.unresolved
    assert (entry.name, entry.verdict, entry.reason) == ("[0]", "unresolved", "domain")
    assert math.isnan(entry.numerical)
    assert math.isinf(entry.error)
    assert report.headline().startswith("UNRESOLVED")
    assert "no proof against the gradient" in report.headline()
    assert "not finite beside the point" in str(report)


@pytest.mark.parametrize("analytic", [0.0, 2.0, -2.0, 50.0, 1e3])
@pytest.mark.parametrize("x0", [0.0, 0.7])
@pytest.mark.parametrize("jump", [1e-8, 1e-3, 1.0, 1e3])
def test_slopes_that_never_settle_are_unresolved_for_truncation(
    jump: float, x0: float, analytic: float
) -> None:
    """Where the loss jumps there is no slope, and no gradient lies between two slopes."""
    report = check(lambda w: 2 * w[0] + jump * (w[0] > x0), np.array([analytic]), np.array([x0]))
    assert not report.passed
    (entry,) = report.unresolved
    assert entry.reason == "truncation"
    assert "the slopes never settle" in str(report)


@pytest.mark.parametrize("first", [0.0, np.nan, np.inf])
def test_the_resolution_is_that_of_the_entries_that_could_be_judged(first: float) -> None:
    def fun(w: Any) -> Any:
        return np.sum(w) if w[0] == 1.0 or first else np.nan

    report = check(fun, np.array([first, 1.0, 1.0]), np.array([1.0, 2.0, 3.0]))
    assert not report.passed
    assert 0 < report.resolution[""] < 1e-3


def jitter(w: Any) -> float:
    """Noise between 0 and 1 that is the same at the same point."""
    return int.from_bytes(hashlib.blake2b(np.asarray(w).tobytes(), digest_size=4).digest()) / 2**32


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("noise", [1e-12, 1e-9, 1e-6, 1e-3])
def test_noise_is_measured_and_excuses_no_more_than_it_hides(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    x0, c = rng.normal(size=(2, 10))
    c += np.copysign(0.5, c)

    def fun(w: Any) -> Any:
        return np.sum(c * w) + noise * jitter(w)

    report = check(fun, c, x0)
    # What noise does to the slopes of the two sides is no kink.
    assert {e.verdict for e in report.entries} == {"agree"}, str(report)
    assert not check(fun, -c, x0)
    assert not check(fun, c * np.where(np.arange(10) == 3, 2, 1), x0)


def test_what_noise_hides_is_said_to_be_hidden() -> None:
    report = check(lambda w: 1e-3 * np.sum(np.tanh(w)) + jitter(w), np.full(3, 1e-3), np.ones(3))
    assert report.passed
    assert report.resolution[""] > 1
    assert "may go unseen" in str(report) or "Nothing to tell" in str(report)


@pytest.mark.parametrize("seed", range(10))
def test_a_loss_rounded_to_eight_digits(seed: int) -> None:
    x0 = np.random.default_rng(seed).normal(size=8)

    def fun(w: Any) -> Any:
        return np.round(np.sum(np.sin(w) + w), 8)

    assert check(fun, np.cos(x0) + 1, x0), seed
    assert not check(fun, 1.1 * (np.cos(x0) + 1), x0)


def test_fast_oscillation() -> None:
    x0 = np.array([0.3, -0.7, 1.1])
    right = 1e4 * np.cos(1e4 * x0)
    assert check(lambda w: np.sum(np.sin(1e4 * w)), right, x0)
    assert len(check(lambda w: np.sum(np.sin(1e4 * w)), 1.001 * right, x0).wrong) == 3


def test_saturated_units() -> None:
    x0 = np.array([12.0, -15.0, 0.5, 17.0])
    right = 1 / np.cosh(x0) ** 2
    assert check(lambda w: np.sum(np.tanh(w)), right, x0)
    wrong = right.copy()
    wrong[2] = 0
    assert [e.name for e in check(lambda w: np.sum(np.tanh(w)), wrong, x0).wrong] == ["[2]"]


# ---------------------------------------------------------------- precision


@pytest.mark.parametrize("seed", range(10))
def test_float32_networks(seed: int) -> None:
    fun, grad, x0, args = network(seed, np.float32)
    report = check(fun, grad, x0, args=args)
    assert report.passed, str(report)
    negated = {k: -g for k, g in grad(x0, *args).items()}
    assert not check(fun, negated, x0, args=args)
    doubled = {k: 2 * g for k, g in grad(x0, *args).items()}
    assert not check(fun, doubled, x0, args=args)


@pytest.mark.parametrize("seed", range(10))
def test_in_float32_the_rounding_of_its_neighbours_excuses_a_small_entry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(30, 30))
    x0 = rng.normal(size=30).astype(np.float32)
    right = (A.T @ (A @ x0)).astype(np.float64)
    # An entry far smaller than the sums it comes from, rounded as they are.
    rounded = right + np.max(np.abs(right)) * 2.0**-23 * rng.uniform(-4, 4, size=30)

    def fun(w: Any) -> Any:
        return 0.5 * np.sum((A @ w.astype(float)) ** 2)

    shift = np.linalg.lstsq(A.T @ A, right * (np.arange(30) == 0), rcond=None)[0]
    x0 = (x0 - shift).astype(np.float32)
    right = A.T @ (A @ x0.astype(float))
    rounded = right + np.max(np.abs(right)) * 2.0**-23 * rng.uniform(-4, 4, size=30)
    assert check(fun, rounded.astype(np.float32), x0)
    assert not check(fun, (-rounded).astype(np.float32), x0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [np.longdouble, np.float64, np.float32])
def test_every_precision_passes_right_and_fails_wrong(seed: int, dtype: Any) -> None:
    x0 = np.random.default_rng(seed).normal(size=20).astype(dtype)
    assert check(lambda w: np.sum(np.exp(w)), np.exp, x0)
    assert not check(lambda w: np.sum(np.exp(w)), lambda w: np.exp(w) * dtype(1.2), x0)
    assert not check(lambda w: np.sum(np.exp(w)), lambda w: -np.exp(w), x0)


@pytest.mark.parametrize("seed", range(5))
def test_float16_is_no_false_alarm_and_no_silent_pass(seed: int) -> None:
    x0 = np.random.default_rng(seed).normal(size=20).astype(np.float16)
    report = check(lambda w: np.sum(np.sin(w)), np.cos, x0)
    assert report.passed
    assert report.resolution[""] > 0.01
    # A loss in float64 of float16 parameters can be judged well.
    assert not check(lambda w: np.sum(np.sin(w.astype(float))), lambda w: -np.cos(w), x0)


def test_a_loss_in_float32_of_float64_parameters() -> None:
    x0 = np.random.default_rng(0).normal(size=20)
    fun = lambda w: np.float32(np.sum(np.exp(w)))  # noqa: E731
    assert check(fun, np.exp, x0)
    assert not check(fun, lambda w: 1.2 * np.exp(w), x0)


# ---------------------------------------------------------------- resolution


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.0, 1e-10, 1e-5])
def test_the_resolution_is_honest(seed: int, noise: float) -> None:
    """An error clearly above the resolution is seen, or the check says that it could not be."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(3, 30))
    x0, c = rng.normal(size=(2, size))

    def fun(w: Any) -> Any:
        return np.sum(np.sin(c * w)) + noise * jitter(w)

    right = c * np.cos(c * x0)
    report = check(fun, right, x0)
    assert report.passed
    typical = np.sqrt(np.mean(right**2))
    wrong, i = right.copy(), int(rng.integers(size))
    error = 5 * report.resolution[""]
    wrong[i] += error * typical * rng.choice([-1, 1])
    again = check(fun, wrong, x0)
    # A check spends its spare calls where they look needed; what it then says of itself counts.
    assert f"[{i}]" in [e.name for e in again.wrong] or again.resolution[""] > error / 2


def test_the_resolution_is_no_excuse_either() -> None:
    """On a clean smooth loss it is close to the tolerance, not to a guess."""
    x0 = np.random.default_rng(0).normal(size=50)
    report = check(lambda w: np.sum(np.exp(w)), np.exp, x0)
    assert 1e-7 < report.resolution[""] < 1e-4
    report = check(lambda w: np.sum(np.exp(w)), np.exp, x0, rtol=1e-2)
    assert 5e-3 < report.resolution[""] < 0.1


# ---------------------------------------------------------------- calls


@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 33, 100, 321, 1000, 2500])
@pytest.mark.parametrize("seed", range(2))
def test_a_right_gradient_costs_two_calls_an_entry_and_forty(size: int, seed: int) -> None:
    rng = np.random.default_rng([size, seed])
    x0, c = rng.normal(size=(2, size))
    for report in (
        check(lambda w: np.sum(np.tanh(c * w)), c / np.cosh(c * x0) ** 2, x0),
        check(lambda w: np.sum((w - c) ** 2), 2 * (x0 - c), x0),
        check(lambda w: np.sum(w), np.ones(size), 0 * x0),
        check(
            lambda p: np.sum(np.exp(p["a"])) + np.sum(np.cos(p["b"])),
            lambda p: {"a": np.exp(p["a"]), "b": -np.sin(p["b"])},
            {"a": x0, "b": c},
        ),
    ):
        assert report.passed
        assert report.nfev <= 2 * report.size + 40


@pytest.mark.parametrize("bend", [1e-4, 1e-2, 1e3])
def test_what_the_first_entries_teach_the_others_need_not_learn(bend: float) -> None:
    """A loss that bends over another length than the size of its parameters."""
    x0 = np.random.default_rng(0).uniform(1, 2, size=300)
    report = check(lambda w: np.sum(np.sin(w / bend)), lambda w: np.cos(w / bend) / bend, x0)
    assert report.passed
    assert report.nfev <= 2 * 300 + 60  # 20 of them to tell whether the bends are noise


@pytest.mark.parametrize("size", [10, 300])
def test_even_a_gradient_that_is_wrong_everywhere_costs_a_bounded_number(size: int) -> None:
    x0 = np.random.default_rng(size).normal(size=size)
    report = check(lambda w: np.sum(np.exp(w)), lambda w: 1.5 * np.exp(w), x0)
    assert report.nfev <= 12 * size + 40


def test_the_second_look_finds_what_the_round_off_bar_would_have_hidden() -> None:
    """With a large constant in the loss two calls excuse 1 %; a larger step does not."""
    x0 = np.linspace(0.5, 1.5, 12)

    def fun(w: Any) -> Any:
        return 1e7 + np.sum(w)

    wrong = np.ones(12)
    wrong[5] += 1e-5
    report = check(fun, wrong, x0, rtol=1e-6)
    assert [e.name for e in report.wrong] == ["[5]"]


# ---------------------------------------------------------------- a fixed step


@pytest.mark.parametrize("step", [1e-2, 1e-4, 1e-6])
def test_a_given_step_is_the_step_that_is_used(step: float) -> None:
    x0 = np.array([0.3, -1.2, 2.0])
    seen = []

    def fun(w: Any) -> Any:
        seen.append(w - x0)
        return np.sum(np.exp(w))

    report = check(fun, np.exp, x0, step=step)
    assert report.passed
    single = [d[d != 0][0] for d in seen if np.count_nonzero(d) == 1]
    assert len(single) >= 6
    for moved in single:
        assert abs(moved) == pytest.approx(step, rel=1e-6) or abs(moved) == pytest.approx(2 * step)


def test_a_given_step_that_is_too_large_is_no_proof_against_the_gradient() -> None:
    x0 = np.array([0.5, 1.0])
    assert check(lambda w: np.sum(w**3), lambda w: 3 * w**2, x0, step=0.1)
    assert not check(lambda w: np.sum(w**3), lambda w: -3 * w**2, x0, step=0.1)
    assert not check(lambda w: np.sum(w**3), lambda w: 6 * w**2, x0, step=0.1)


def test_the_textbook_step_on_a_square_loss_is_exact_and_sees_small_errors() -> None:
    x0 = np.array([0.5, -1.0, 2.0])
    assert check(lambda w: 0.5 * np.sum(w**2), lambda w: w, x0, step=1e-4)
    report = check(lambda w: 0.5 * np.sum(w**2), x0 * (1 + np.array([0, 0, 1e-5])), x0, step=1e-4)
    assert [e.name for e in report.wrong] == ["[2]"]


def test_a_step_below_the_spacing_of_floats_still_says_something_true() -> None:
    x0 = np.array([1e6, 1.0])
    report = check(lambda w: np.sum(np.sqrt(w)), lambda w: 0.5 / np.sqrt(w), x0, step=1e-12)
    assert report.passed
    assert report.resolution[""] > 1e-6


# ---------------------------------------------------------------- found by attack


@pytest.mark.parametrize("outside", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("x", [0.0, 1.0])
def test_an_infinite_loss_on_one_side_excuses_nothing(outside: float, x: float) -> None:
    def fun(w: float) -> float:
        return math.sin(w) if 0 <= w <= 1 else outside

    assert one(fun, math.cos(x), x).verdict == "agree"
    assert one(fun, -math.cos(x), x).verdict == "wrong"


@pytest.mark.parametrize("seed", range(10))
def test_a_bias_before_a_batch_norm_has_no_gradient_but_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, v, y = rng.normal(size=(32, 5)), rng.normal(size=6), rng.normal(size=32)

    def forward(p: Any) -> tuple[Any, Any, Any]:
        Z = X @ p["W"] + p["b"]
        deviation = Z.std(axis=0)
        N = (Z - Z.mean(axis=0)) / deviation
        return N, deviation, np.tanh(N)

    def fun(p: Any) -> Any:
        return np.mean((forward(p)[2] @ v - y) ** 2)

    def grad(p: Any) -> Any:
        N, deviation, A = forward(p)
        dN = np.outer(2 * (A @ v - y) / len(y), v) * (1 - A**2)
        dZ = (dN - dN.mean(axis=0) - N * (dN * N).mean(axis=0)) / deviation
        return {"W": X.T @ dZ, "b": dZ.sum(axis=0)}

    report = check(fun, grad, {"W": rng.normal(size=(5, 6)), "b": rng.normal(size=6)})
    assert report.passed, str(report)


@pytest.mark.parametrize("seed", range(10))
def test_data_that_the_parameters_fit_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    A, w = rng.normal(size=(30, 6)), rng.normal(size=6)
    y = A @ w
    assert check(lambda w: np.mean((A @ w - y) ** 2), 2 * A.T @ (A @ w - y) / 30, w).passed
