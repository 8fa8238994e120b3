"""The door of the house: options, choices and promises of `check_gradient`."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import GradientReport, assert_gradient, check_gradient

X0 = np.array([1.0, 2.0, 3.0])


class Layer(NamedTuple):
    W: Any
    b: Any


def loss(w: Any) -> Any:
    return np.sum(np.exp(w))


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize("grad", [None])
def test_a_forgotten_gradient_is_refused(grad: Any) -> None:
    with pytest.raises(TypeError, match=r"`grad` is None: pass a function"):
        check_gradient(loss, grad, X0)


@pytest.mark.parametrize("method", ["entry", "", None, 3, "ENTRIES"])
def test_method_is_one_of_three(method: Any) -> None:
    with pytest.raises(ValueError, match=r"`method` is .*'entries', 'directions' or 'auto'"):
        check_gradient(loss, np.exp, X0, method=method)


@pytest.mark.parametrize("rtol", [0, -1e-6, math.nan, math.inf, "1e-6", [1e-6]])
def test_rtol_is_positive(rtol: Any) -> None:
    with pytest.raises(ValueError, match=r"`rtol` is .*positive finite number, or None"):
        check_gradient(loss, np.exp, X0, rtol=rtol)


@pytest.mark.parametrize("atol", [-1e-6, math.nan, math.inf, None, "0"])
def test_atol_is_not_negative(atol: Any) -> None:
    with pytest.raises(ValueError, match=r"`atol` is .*from 0 up"):
        check_gradient(loss, np.exp, X0, atol=atol)


@pytest.mark.parametrize("step", [0, -1e-4, math.nan, math.inf, "1e-4"])
def test_step_is_positive(step: Any) -> None:
    with pytest.raises(ValueError, match=r"`step` is .*positive finite number"):
        check_gradient(loss, np.exp, X0, step=step)


def test_step_belongs_to_single_entries() -> None:
    with pytest.raises(ValueError, match=r"`step` belongs to single entries.*method='entries'"):
        check_gradient(loss, np.exp, X0, step=1e-4, method="directions")


@pytest.mark.parametrize("cap", [0, -1, 1.5, None, "20", math.inf])
def test_max_wrong_is_a_whole_number_from_one_up(cap: Any) -> None:
    with pytest.raises(ValueError, match=r"`max_wrong` is .*from 1 up"):
        check_gradient(loss, np.exp, X0, max_wrong=cap)


def test_misuse_is_said_before_the_loss_is_called() -> None:
    def fun(w: Any) -> Any:
        raise AssertionError("called")

    for options in ({"method": "x"}, {"rtol": 0}, {"atol": -1}, {"step": 0}, {"max_wrong": 0}):
        with pytest.raises(ValueError, match="`"):
            check_gradient(fun, np.exp, X0, **options)
    with pytest.raises(TypeError, match="`x0`"):
        check_gradient(fun, np.exp, np.array([1, 2]))


def test_options_are_keywords() -> None:
    with pytest.raises(TypeError):
        check_gradient(loss, np.exp, X0, ())  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("grad", "error", "words"),
    [
        (lambda p: {"W": p["W"]}, ValueError, ["`grad`", "missing b"]),
        (lambda p: {**p, "c": 1.0}, ValueError, ["`grad`", "not in `x0`: c"]),
        (lambda p: {**p, "W": p["W"].T}, ValueError, ["`grad` at W", "(3, 2)", "(2, 3)"]),
        (lambda p: p["W"], ValueError, ["`grad`", "missing W, b"]),
        (lambda p: None, TypeError, ["`grad`", "`return` missing"]),
        (lambda p: {"W": p["W"] * 1j, "b": p["b"]}, TypeError, ["`grad` at W", "complex"]),
    ],
)
@pytest.mark.parametrize("given", ["function", "values"])
def test_a_gradient_of_another_shape_is_refused_by_name(
    grad: Any, error: type[Exception], words: list[str], given: str
) -> None:
    x0 = {"W": np.ones((2, 3)), "b": np.ones(3)}
    values = grad(x0)
    if given == "values" and values is None:
        pytest.skip("None is a forgotten argument")
    with pytest.raises(error) as caught:
        check_gradient(
            lambda p: p["W"].sum() + p["b"].sum(), grad if given == "function" else values, x0
        )
    for word in words:
        assert word in str(caught.value)


# ---------------------------------------------------------------- structures

STRUCTURES: list[tuple[Any, list[str]]] = [
    (np.array([0.5, -1.0]), ["[0]", "[1]"]),
    (np.asfortranarray([[0.5, -1.0], [2.0, 0.1]]), ["[0, 0]", "[0, 1]", "[1, 0]", "[1, 1]"]),
    (0.5, ["x"]),
    (np.array(0.5), ["x"]),
    (np.float32(0.5), ["x"]),
    ({"W": np.array([[0.5]]), "b": np.array(0.1)}, ["W[0, 0]", "b"]),
    ([np.array([0.5]), 0.25], ["[0][0]", "[1]"]),
    ((np.array([0.5]), (0.25, [0.125])), ["[0][0]", "[1][0]", "[1][1][0]"]),
    (Layer(np.array([0.5]), 0.25), ["W[0]", "b"]),
    ({"net": [Layer(np.array([0.5]), {"c": 0.1})]}, ["net[0].W[0]", "net[0].b.c"]),
    ({1: np.array([0.5]), "a b": 0.1, ("t", 2): 0.3}, ["1[0]", "a b", "('t', 2)"]),
    ({"e": np.zeros((0, 2)), "w": np.array([0.5])}, ["w[0]"]),
]


def over(f: Any, tree: Any) -> Any:
    """Apply a function to every array of a structure."""
    if isinstance(tree, dict):
        return {key: over(f, branch) for key, branch in tree.items()}
    if isinstance(tree, Layer):
        return Layer(*(over(f, branch) for branch in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(over(f, branch) for branch in tree)
    return f(tree)


def total(tree: Any) -> Any:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return sum(total(branch) for branch in tree)
    return np.sum(np.exp(tree))


@pytest.mark.parametrize(("x0", "names"), STRUCTURES)
@pytest.mark.parametrize("method", ["entries", "directions"])
@pytest.mark.parametrize("given", ["function", "values"])
def test_every_structure_passes_right_and_names_wrong(
    x0: Any, names: list[str], method: Any, given: str
) -> None:
    def grad(factor: float) -> Any:
        def function(tree: Any) -> Any:
            return over(lambda x: factor * np.exp(x), tree)

        return function if given == "function" else function(x0)

    report = check_gradient(total, grad(1.0), x0, method=method)
    assert report.passed, str(report)
    assert [e.name for e in report.entries] == (names if method == "entries" else [])
    report = check_gradient(total, grad(-2.0), x0, method=method)
    assert sorted(e.name for e in report.wrong) == sorted(names)


def test_fun_and_grad_get_the_structure_that_was_given() -> None:
    x0 = {"net": [Layer(np.ones(2), (1.0,))]}
    seen: list[Any] = []

    def fun(p: Any) -> Any:
        seen.append((type(p), type(p["net"]), type(p["net"][0]), type(p["net"][0].b)))
        return np.sum(p["net"][0].W) + p["net"][0].b[0]

    assert check_gradient(fun, lambda p: {"net": [Layer(np.ones(2), (1.0,))]}, x0)
    assert set(seen) == {(dict, list, Layer, tuple)}


def test_values_saved_from_a_training_step_are_checked_as_they_are() -> None:
    saved = {"w": np.exp(X0)}
    assert check_gradient(lambda p: loss(p["w"]), saved, {"w": X0})
    saved["w"][1] = 0.0
    report = check_gradient(lambda p: loss(p["w"]), saved, {"w": X0})
    assert [e.name for e in report.wrong] == ["w[1]"]


# ---------------------------------------------------------------- what is chosen


@pytest.mark.parametrize(
    ("size", "method"), [(1, "entries"), (2_000, "entries"), (2_001, "directions")]
)
def test_auto_takes_entries_up_to_2000_parameters(size: int, method: Any) -> None:
    report = check_gradient(np.sum, np.ones(size), np.ones(size))
    assert report.method == method
    assert len(report.entries) == (size if method == "entries" else 0)
    assert f"method {method!r}" in str(report)
    half = {"a": np.ones(size // 2), "b": np.ones(size - size // 2)}
    both = check_gradient(lambda p: p["a"].sum() + p["b"].sum(), half, half)
    assert both.method == method


def test_a_fixed_step_means_entries_at_any_size() -> None:
    report = check_gradient(np.sum, np.ones(2_001), np.ones(2_001), step=0.1)
    assert report.method == "entries"
    assert "method 'entries', to which `step` belongs" in " ".join(str(report).split())


@pytest.mark.parametrize(
    ("x", "g", "f", "rtol"),
    [
        (np.float64, np.float64, np.float64, 1e-6),
        (np.longdouble, np.longdouble, np.longdouble, 1e-6),
        (np.float32, np.float64, np.float64, 1e-3),
        (np.float64, np.float32, np.float64, 1e-3),
        (np.float64, np.float64, np.float32, 1e-3),
        (np.float16, np.float64, np.float64, 1e-3),
    ],
)
def test_the_tolerance_follows_the_coarsest_precision(x: Any, g: Any, f: Any, rtol: float) -> None:
    """Powers of 2 make everything exact, so that nothing but the tolerance decides."""
    x0 = np.ones(4, x)

    def run(error: float) -> Any:
        gradient = np.full(4, 2 * (1 + error)).astype(g)
        return check_gradient(lambda w: f(2 * np.sum(w.astype(float))), gradient, x0).entries[0]

    (entry, wrong) = run(0.0), run(20 * rtol)
    assert entry.verdict == "agree"
    assert wrong.verdict == "wrong" or wrong.error > 10 * rtol
    if rtol == 1e-3:
        assert run(5e-4).verdict == "agree"
    else:
        assert run(5e-6).verdict == "wrong"


def test_one_float32_array_among_others_widens_the_tolerance_of_all() -> None:
    x0 = {"a": np.ones(2), "b": np.ones(2, np.float32)}
    wrong = {"a": np.full(2, 1 + 5e-4), "b": np.ones(2)}
    assert check_gradient(lambda p: p["a"].sum() + p["b"].astype(float).sum(), wrong, x0)


def test_a_tolerance_that_was_given_is_kept() -> None:
    assert check_gradient(loss, lambda w: 1.05 * np.exp(w), X0, rtol=0.1)
    assert not check_gradient(loss, lambda w: 1.05 * np.exp(w), X0, rtol=0.01)


# ---------------------------------------------------------------- chance, calls, args


@pytest.mark.parametrize("method", ["entries", "directions"])
@pytest.mark.parametrize("factor", [1.0, 1.001])
@pytest.mark.parametrize("rng", [None, 3])
def test_the_same_check_says_the_same_twice(method: Any, factor: float, rng: Any) -> None:
    x0 = np.random.default_rng(0).normal(size=40)
    first, again = (
        check_gradient(loss, lambda w: factor * np.exp(w), x0, method=method, rng=rng)
        for _ in range(2)
    )
    assert str(first) == str(again)
    assert first.to_dict() == again.to_dict()
    assert list(first.entries) == list(again.entries)
    assert first.nfev == again.nfev


def test_a_check_leaves_the_global_random_state_alone() -> None:
    np.random.seed(0)  # noqa: NPY002 - it is the global state that is watched
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    check_gradient(loss, np.exp, X0)
    check_gradient(loss, np.exp, X0, method="directions")
    assert np.random.random() == expected  # noqa: NPY002


def test_args_reach_fun_and_grad() -> None:
    X, y = np.arange(6.0).reshape(3, 2) / 5, np.array([1.0, 0.5, 2.0])

    def fun(w: Any, X: Any, y: Any) -> Any:
        return 0.5 * np.sum((X @ w - y) ** 2)

    def grad(w: Any, X: Any, y: Any) -> Any:
        return X.T @ (X @ w - y)

    assert check_gradient(fun, grad, np.array([0.3, -0.2]), args=(X, y))
    assert check_gradient(fun, grad, np.array([0.3, -0.2]), args=[X, y])
    report = check_gradient(fun, lambda *a: grad(*a) / 3, np.array([0.3, -0.2]), args=(X, y))
    assert any(f.bug == "batch size" for f in report.findings)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-9])
@pytest.mark.parametrize("method", ["entries", "directions"])
def test_by_default_nothing_of_the_wrong_sign_passes(scale: float, method: Any) -> None:
    for seed in range(5):
        x0 = np.random.default_rng(seed).normal(size=20)
        report = check_gradient(
            lambda w: scale * loss(w), lambda w: -scale * np.exp(w), x0, method=method
        )
        assert len(report.wrong) == 20


# ---------------------------------------------------------------- assert_gradient


def test_assert_gradient_returns_the_report_of_a_right_gradient() -> None:
    report = assert_gradient(loss, np.exp, X0)
    assert isinstance(report, GradientReport)
    assert report.passed


@pytest.mark.parametrize("method", ["entries", "directions"])
def test_assert_gradient_raises_with_the_table(method: Any) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_gradient(loss, lambda w: np.exp(w) * np.array([1, 1, 1.5]), X0, method=method)
    text = str(caught.value)
    assert "WRONG: 1 of 3" in text
    assert "[2]" in text
    assert "numerical" in text
    assert "array(" not in text


def test_assert_gradient_raises_where_nothing_can_be_told_for_sure() -> None:
    with pytest.raises(AssertionError, match="UNRESOLVED"):
        assert_gradient(lambda w: 1.0 if np.all(w == X0) else np.nan, np.zeros(3), X0)


def test_assert_gradient_warns_where_it_passed_blind() -> None:
    w = np.ones(3)
    with pytest.warns(UserWarning, match="PASSED, blind in the gradient.*at another point"):
        assert_gradient(lambda w: np.sum((w - 1) ** 2), lambda w: -2 * (w - 1), w)
    assert_gradient(lambda w: np.sum((w - 1) ** 2), lambda w: 2 * (w - 1), 2 * w)  # no warning
    x0 = {"w": w, "v": 2 * w}  # one array of two is enough
    with pytest.warns(UserWarning, match="blind in w"):
        assert_gradient(
            lambda p: np.sum((p["w"] - 1) ** 2) + p["v"] @ p["v"],
            lambda p: {"w": -2 * (p["w"] - 1), "v": 2 * p["v"]},
            x0,
        )


def test_assert_gradient_passes_misuse_through() -> None:
    with pytest.raises(ValueError, match="`grad` has shape"):
        assert_gradient(loss, np.ones(2), X0)


def test_a_diagnosis_that_fails_leaves_the_verdict(monkeypatch: Any) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("gradcheck.explaining.columns.diagnose", broken)
    report = check_gradient(loss, lambda w: 2 * np.exp(w), X0)
    assert len(report.wrong) == 3
    assert report.findings == ()
    assert "ZeroDivisionError" in str(report)
