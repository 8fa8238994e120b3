"""The loss is called as little as possible, counted, restored exactly, and never misrepresented."""

import itertools
import re
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from gradcheck import (
    check_gradient,
    directional_derivative,
    numerical_gradient,
    sweep_steps,
)
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Parameters
from gradcheck.measuring.workers import showing

METHODS: list[Any] = ["entries", "directions"]
Action = Literal["always", "default", "ignore", "once"]
X0 = np.array([1.0, 2.0, 3.0])


def loss(w: Any) -> Any:
    return np.sum(np.exp(w))


def same_bytes(first: Any, second: Any) -> bool:
    return bool(first.tobytes() == second.tobytes())


# ---------------------------------------------------------------- counting


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1.0, 1.01, -1.0, np.nan])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_nfev_counts_every_call(method: Any, factor: float, size: int) -> None:
    calls = 0

    def fun(w: Any) -> Any:
        nonlocal calls
        calls += 1
        return loss(w)

    x0 = np.random.default_rng(size).normal(size=size)
    assert check_gradient(fun, lambda w: factor * np.exp(w), x0, method=method).nfev == calls


def test_grad_is_called_twice_and_no_more() -> None:
    calls = 0

    def grad(w: Any) -> Any:
        nonlocal calls
        calls += 1
        return np.exp(w)

    assert check_gradient(loss, grad, X0)
    assert calls == 2


def test_losses_come_in_the_order_of_the_nudges() -> None:
    evaluator = Evaluator(lambda w: w[0] + 10 * w[1], Parameters(np.array([1.0, 2.0])), ())
    nudges = [((0, 0, 5.0),), ((0, 1, 0.0),), (), ((0, slice(None), np.array([0.0, 0.0])),)]
    assert evaluator(nudges) == [25.0, 1.0, 21.0, 0.0]
    assert evaluator(iter(nudges[:1])) == [25.0]
    assert evaluator.nfev == 2 + 5
    assert evaluator([]) == []


# ---------------------------------------------------------------- restored exactly

AWKWARD = np.array([0.1, -0.0, 1e-300, 5e-324, 1 / 3, -1e16, 1e8 + 0.1, np.pi])


def test_a_nudge_leaves_no_trace_not_even_in_the_last_bit() -> None:
    parameters = Parameters({"a": AWKWARD, "b": 0.1})
    before = AWKWARD.tobytes()
    evaluator = Evaluator(lambda p: float(np.tanh(p["a"]).sum()), parameters, ())
    for i, x in enumerate(AWKWARD):
        evaluator([((0, i, x + 1e-4 * max(abs(x), 1)),)])
        assert parameters.tree["a"].tobytes() == before
    evaluator([((0, slice(None), AWKWARD + 1e-3), (1, slice(None), np.array([7.0])))])
    evaluator([((0, np.array([5, 0, 2]), np.zeros(3)),)])
    assert parameters.tree["a"].tobytes() == before
    assert parameters.tree["b"] == 0.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("right", [True, False])
def test_fun_never_sees_more_than_one_entry_moved(dtype: Any, right: bool) -> None:
    x0 = np.random.default_rng(0).normal(size=12).astype(dtype) / 3
    moved = []

    def fun(w: Any) -> Any:
        moved.append(int(np.count_nonzero(w.view(f"u{w.itemsize}") != x0.view(f"u{w.itemsize}"))))
        return np.sum(np.sin(w))

    check_gradient(fun, lambda w: np.cos(w) * (1 if right else 1.5), x0, method="entries")
    noise_table = [count for count in moved if count > 1]
    assert len(noise_table) <= 16  # the one random direction that the noise is measured along
    assert moved.count(1) >= 2 * x0.size


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stop_at", [1, 2, 5, 12, 13, 14, 20])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, ValueError])
def test_whatever_stops_it_nothing_passed_in_is_changed(
    method: Any, stop_at: int, interrupt: type[BaseException]
) -> None:
    x0: Any = {"W": np.full((2, 2), 0.1), "b": [np.full(3, 0.2)]}
    data = np.arange(3.0)
    calls = itertools.count(1)

    def fun(p: Any, X: Any) -> Any:
        if next(calls) == stop_at:
            p["W"][:] = 99.0  # whatever state it is left in
            raise interrupt("stop")
        return np.sum(np.exp(p["W"])) + np.sum(np.exp(p["b"][0]) * X)

    def grad(p: Any, X: Any) -> Any:
        return {"W": np.exp(p["W"]), "b": [X * np.exp(p["b"][0])]}

    with pytest.raises(interrupt, match="stop"):
        check_gradient(fun, grad, x0, args=(data,), method=method)
    assert same_bytes(x0["W"], np.full((2, 2), 0.1))
    assert same_bytes(x0["b"][0], np.full(3, 0.2))
    np.testing.assert_array_equal(data, np.arange(3.0))


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ValueError])
def test_an_interrupted_nudge_is_taken_back(interrupt: type[BaseException]) -> None:
    parameters = Parameters(AWKWARD)

    def fun(w: Any) -> Any:
        if not same_bytes(w, AWKWARD):
            raise interrupt
        return 1.0

    evaluator = Evaluator(fun, parameters, ())
    for nudge in [(0, 2, 1.0)], [(0, slice(None), AWKWARD + 1)], [(0, 0, 1.0), (0, 3, 2.0)]:
        with pytest.raises(interrupt):
            evaluator([tuple(nudge)])
        assert same_bytes(parameters.tree, AWKWARD)


@pytest.mark.parametrize(
    "run",
    [
        lambda x0, g: check_gradient(loss, g, x0),
        lambda x0, g: check_gradient(loss, g, x0, method="directions"),
        lambda x0, g: check_gradient(loss, 2 * g, x0, method="directions"),
        lambda x0, g: check_gradient(loss, 2 * g, x0, step=0.1),
        lambda x0, g: numerical_gradient(loss, x0),
        lambda x0, g: directional_derivative(loss, x0, g),
        lambda x0, g: sweep_steps(loss, g, x0),
    ],
)
def test_nothing_passed_in_is_changed_and_read_only_arrays_will_do(run: Any) -> None:
    x0, gradient = X0.copy(), np.exp(X0)
    for array in (x0, gradient):
        array.setflags(write=False)
    run(x0, gradient)
    assert same_bytes(x0, X0)
    assert same_bytes(gradient, np.exp(X0))


# ---------------------------------------------------------------- exceptions


def raising_off_x0(w: Any) -> Any:
    if w["W"][1, 0] != 3.0:
        raise RuntimeError("no convergence")
    return w["W"].sum() + w["b"].sum()


def test_the_exception_says_with_which_entry_and_step_it_came() -> None:
    x0 = {"W": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.ones(2)}
    evaluator = Evaluator(raising_off_x0, Parameters(x0), ())
    with pytest.raises(RuntimeError, match="no convergence") as caught:
        evaluator([((0, 2, 3.0 + 2.0**-10),)])
    (note,) = caught.value.__notes__
    assert "W[1, 0] = 3.0009765625" in note
    assert "step of 0.00098" in note
    with pytest.raises(RuntimeError) as caught:
        evaluator([((0, slice(None), np.zeros(4)),)])
    assert "along a direction" in caught.value.__notes__[0]


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_half_way_reaches_the_user_as_it_was(method: Any) -> None:
    problem = ValueError("singular")

    def fun(w: Any) -> Any:
        if w[1] != 2.0:
            raise problem
        return loss(w)

    with pytest.raises(ValueError, match="singular") as caught:
        check_gradient(fun, np.exp, X0, method=method)
    assert caught.value is problem
    assert len(problem.__notes__) == 1
    assert problem.__notes__[0].startswith("gradcheck: ")


def test_an_exception_with_one_entry_moved_names_it() -> None:
    def fun(w: Any) -> Any:
        if w[1] != 2.0 and w[0] == 1.0:
            raise ArithmeticError("singular")
        return loss(w)

    with pytest.raises(ArithmeticError) as caught:
        check_gradient(fun, np.exp, X0)
    assert "[1] = 2.0" in caught.value.__notes__[0]
    assert "a step of " in caught.value.__notes__[0]


def test_an_exception_in_grad_reaches_the_user() -> None:
    with pytest.raises(ZeroDivisionError):
        check_gradient(loss, lambda w: 1 / 0, X0)


def test_a_loss_that_is_no_number_at_some_point_says_where() -> None:
    with pytest.raises(TypeError) as caught:
        check_gradient(lambda w: None if w[2] > 3 and w[1] == 2 else loss(w), np.exp, X0)
    assert "[2] = 3.0" in caught.value.__notes__[0]


# ---------------------------------------------------------------- warnings


def warnings_of(run: Callable[[], Any], action: Action = "always") -> list[Any]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        run()
    return caught


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("action", ["always", "default", "once"])
def test_a_warning_is_passed_on_once(method: Any, action: Action) -> None:
    def fun(w: Any) -> Any:
        warnings.warn("slow path", UserWarning, stacklevel=1)
        return loss(w)

    caught = warnings_of(lambda: check_gradient(fun, np.exp, X0, method=method), action)
    assert [(str(w.message), w.category) for w in caught] == [("slow path", UserWarning)]
    assert caught[0].filename == __file__
    assert caught[0].lineno == fun.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    "run",
    [
        lambda fun, x0: numerical_gradient(fun, x0),
        lambda fun, x0: directional_derivative(fun, x0, np.ones(3)),
        lambda fun, x0: sweep_steps(fun, np.exp, x0),
    ],
)
def test_every_public_function_passes_warnings_on_once(run: Any) -> None:
    def fun(w: Any) -> Any:
        warnings.warn("slow path", UserWarning, stacklevel=1)
        return loss(w)

    assert len(warnings_of(lambda: run(fun, X0))) == 1


def test_distinct_warnings_of_fun_and_of_grad_all_come_through() -> None:
    def fun(w: Any) -> Any:
        warnings.warn("first", UserWarning, stacklevel=1)
        warnings.warn("second", RuntimeWarning, stacklevel=1)
        return loss(w)

    def grad(w: Any) -> Any:
        warnings.warn("third", DeprecationWarning, stacklevel=1)
        return np.exp(w)

    caught = warnings_of(lambda: check_gradient(fun, grad, X0))
    assert sorted(str(w.message) for w in caught) == ["first", "second", "third"]


def test_numpy_warnings_of_the_loss_are_not_hidden() -> None:
    def fun(w: Any) -> Any:
        return np.sum(w) + 0.0 * np.nan_to_num(np.log(np.array(-1.0)))

    caught = warnings_of(lambda: check_gradient(fun, np.ones(3), X0))
    assert ["invalid value" in str(w.message) for w in caught] == [True]


def test_a_check_makes_no_warnings_of_its_own() -> None:
    for gradient in ([1, np.nan, 1], [np.inf, 1, -np.inf], [0, 0, 0], [1e100, -1e100, 1]):
        for method in METHODS:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                report = check_gradient(np.sum, np.array(gradient), X0, method=method)
                assert not report.passed
                report.table()


def test_warnings_come_through_although_the_loss_raises() -> None:
    calls = itertools.count()

    def fun(w: Any) -> Any:
        warnings.warn("trouble ahead", UserWarning, stacklevel=1)
        if next(calls) > 5:
            raise ValueError("trouble")
        return loss(w)

    def run() -> None:
        with pytest.raises(ValueError, match="trouble"):
            check_gradient(fun, np.exp, X0)

    assert len(warnings_of(run)) == 1


def test_a_warning_that_is_made_an_error_stops_the_check() -> None:
    def fun(w: Any) -> Any:
        warnings.warn("no", UserWarning, stacklevel=1)
        return loss(w)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="no"):
            check_gradient(fun, np.exp, X0)


def test_ignored_warnings_stay_ignored() -> None:
    def fun(w: Any) -> Any:
        warnings.warn("no", UserWarning, stacklevel=1)
        return loss(w)

    assert warnings_of(lambda: check_gradient(fun, np.exp, X0), "ignore") == []


class TwoPartWarning(UserWarning):
    def __init__(self, where: str, what: str) -> None:
        super().__init__(where, what)


def test_a_warning_class_of_its_own_making_is_passed_on() -> None:
    def fun(w: Any) -> Any:
        warnings.warn(TwoPartWarning("layer 1", "saturated"), stacklevel=1)
        return loss(w)

    (caught,) = warnings_of(lambda: check_gradient(fun, np.exp, X0))
    assert caught.category is TwoPartWarning


# ---------------------------------------------------------------- randomness


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [1e-9, 1e-3, 1.0])
def test_a_loss_that_gives_two_values_is_refused_with_both(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    seen = []

    def fun(w: Any) -> Any:
        seen.append(float(loss(w) * (1 + size * rng.normal())))
        return seen[-1]

    with pytest.raises(ValueError, match="`fun` gave two values at the same point") as caught:
        check_gradient(fun, np.exp, X0)
    for value in seen[:2]:
        assert repr(value) in str(caught.value)
    assert "seed" in str(caught.value)


def test_a_gradient_that_gives_two_values_is_refused_with_both() -> None:
    values = iter([np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 3.0])])
    with pytest.raises(ValueError, match="`grad` gave two values") as caught:
        check_gradient(loss, lambda w: next(values), X0)
    for word in ("2.0", "2.5", "[1]", "seed"):
        assert word in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_sums_added_up_in_another_order_are_round_off_not_randomness(method: Any) -> None:
    signs = itertools.cycle([1, -1])

    def fun(w: Any) -> Any:
        return loss(w) * (1 + next(signs) * 4e-16)

    def grad(w: Any) -> Any:
        return np.exp(w) * (1 + next(signs) * 4e-16)

    assert check_gradient(fun, grad, X0, method=method)
    assert not check_gradient(fun, lambda w: 1.01 * grad(w), X0, method=method)


def test_nan_at_the_second_call_is_refused() -> None:
    values = itertools.chain([1.0, np.nan], itertools.repeat(1.0))
    with pytest.raises(ValueError, match="`fun` gave two values"):
        check_gradient(lambda w: next(values), np.exp, X0)


# ---------------------------------------------------------------- in-place changes


def normalise(w: Any) -> Any:
    w -= w.mean()
    return np.sum(w**2)


def test_a_loss_that_changes_its_input_is_refused() -> None:
    with pytest.raises(ValueError, match="`fun` changes its input in place") as caught:
        check_gradient(normalise, np.exp, X0)
    assert "copy" in str(caught.value)
    np.testing.assert_array_equal(X0, [1, 2, 3])


@pytest.mark.parametrize("name", ["W", "b"])
def test_the_array_that_was_changed_is_named(name: str) -> None:
    def fun(p: Any) -> Any:
        p[name] *= 1.5
        return p["W"].sum() + p["b"].sum()

    def grad(p: Any) -> Any:
        p[name][0] += 1.0
        return {"W": np.ones(2), "b": np.ones(3)}

    x0 = {"W": np.ones(2), "b": np.ones(3)}
    with pytest.raises(ValueError, match=rf"`fun` .*in place \({name}\)"):
        check_gradient(fun, grad, x0)
    with pytest.raises(ValueError, match=rf"`grad` .*in place \({name}\)") as caught:
        check_gradient(lambda p: p["W"].sum() + p["b"].sum(), grad, x0)
    assert "copy" in str(caught.value)
    assert x0["W"].tolist() == [1, 1]


def test_a_loss_that_changes_its_input_only_now_and_then_is_refused() -> None:
    def fun(w: Any) -> Any:
        value = loss(w)
        if w[2] > 3.0:
            w[0] += 1e-3
        return value

    with pytest.raises(ValueError, match=r"`fun` changes its input in place .*copy"):
        check_gradient(fun, np.exp, X0)


def test_a_change_in_place_is_said_before_the_two_values_that_it_makes() -> None:
    def fun(w: Any) -> Any:
        w *= 0.9
        return loss(w)

    with pytest.raises(ValueError, match="in place"):
        check_gradient(fun, np.exp, X0)


def test_a_gradient_that_returns_its_own_input_is_fine() -> None:
    assert check_gradient(lambda w: 0.5 * np.sum(w**2), lambda w: w, X0)


# ---------------------------------------------------------------- what fun and args may be


@pytest.mark.parametrize("value", [np.float64(2), np.float32(2), 2, np.array(2.0), np.int64(2)])
def test_any_real_number_is_a_loss(value: Any) -> None:
    assert check_gradient(lambda w: value, np.zeros(3), X0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([1.0]), ["shape (1,)", ".item()"]),
        (np.ones((2, 3)), ["shape (2, 3)", "`check_backward`"]),
        ([1.0, 2.0], ["returned a list"]),
        ((1.0, np.ones(2)), ["returned a tuple", "loss alone", "`grad=True`"]),
        ("1.0", ["'1.0'"]),
        (1.0 + 2.0j, ["(1+2j)"]),
        (np.complex128(1), ["returned (1+0j), ", "real part"]),
        (True, ["True", "truth"]),
        (np.True_, ["returned True, "]),
        ({"loss": 1.0}, ["loss"]),
    ],
)
def test_what_is_no_real_number_is_no_loss(value: Any, words: list[str]) -> None:
    with pytest.raises(TypeError, match=r"(?s)`fun` returned .*not one real number") as caught:
        check_gradient(lambda w: value, np.zeros(3), X0)
    for word in words:
        assert word in str(caught.value)
    for misleading in ("sum()", "np."):
        assert misleading not in str(caught.value)


def test_a_forgotten_return_is_guessed() -> None:
    with pytest.raises(TypeError, match="`fun` returned None: is its `return` missing"):
        check_gradient(lambda w: None, np.zeros(3), X0)
    with pytest.raises(TypeError, match="`grad` returned None: is its `return` missing"):
        check_gradient(np.sum, lambda w: None, X0)


def test_a_gradient_that_adds_to_what_is_left_is_told_from_chance() -> None:
    left, y = np.zeros(3), np.ones(3)

    def adds_up(w: Any, y: Any) -> Any:
        left[:] += w - y
        return left.copy()

    def eats_its_data(w: Any, y: Any) -> Any:
        y -= w
        return -y

    def fun(w: Any, y: Any) -> Any:
        return 0.5 * np.sum((w - y) ** 2)

    with pytest.raises(ValueError, match=r"two values at the same point.*clear what an earlier"):
        check_gradient(fun, adds_up, X0, args=(y,))
    with pytest.raises(ValueError, match=r"`grad` changes `args\[0\]` in place"):
        check_gradient(fun, eats_its_data, X0, args=(y,))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_at_x0_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=rf"`fun` is {value} at `x0`") as caught:
        check_gradient(lambda w: value, np.zeros(3), X0)
    assert "finite" in str(caught.value)


@pytest.mark.parametrize("fun", [None, 3.0, np.ones(3), "loss"])
def test_fun_must_be_callable(fun: Any) -> None:
    for run in (
        lambda: check_gradient(fun, np.zeros(3), X0),
        lambda: numerical_gradient(fun, X0),
        lambda: directional_derivative(fun, X0, X0),
        lambda: sweep_steps(fun, X0, X0),
    ):
        with pytest.raises(TypeError, match=r"`fun` is .*not callable"):
            run()


@pytest.mark.parametrize("args", [np.ones(3), None, 3.0, "X", {"X": 1}])
def test_args_must_be_a_tuple(args: Any) -> None:
    with pytest.raises(TypeError, match=r"`args` is .*tuple"):
        check_gradient(lambda w, X: w @ X, np.ones(3), X0, args=args)


def test_long_values_do_not_flood_the_message() -> None:
    with pytest.raises(TypeError) as caught:
        check_gradient(lambda w: w, np.ones(10_000), np.ones(10_000))
    assert len(str(caught.value)) < 200


# ---------------------------------------------------------------- workers and progress


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", None, True, [2]])
def test_workers_is_a_whole_number_or_like_map(workers: Any) -> None:
    with pytest.raises(ValueError, match=r"`workers` is .*whole number.*map"):
        check_gradient(loss, np.exp, X0, workers=workers)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_a_map_like_callable_gives_the_same_report(method: Any, factor: float) -> None:
    shared = 0

    def gather(function: Any, nudges: Any) -> Any:
        nonlocal shared
        shared += len(nudges)
        return [function(nudge) for nudge in nudges]

    def grad(w: Any) -> Any:
        return factor * np.exp(w)

    one = check_gradient(loss, grad, X0, method=method)
    other = check_gradient(loss, grad, X0, method=method, workers=gather)
    assert one.to_dict() == other.to_dict()
    assert list(one.entries) == list(other.entries)
    assert shared == other.nfev - 2  # the two calls at x0 are made here


@pytest.mark.parametrize("method", METHODS)
def test_progress_is_told_of_every_call(method: Any) -> None:
    told: list[tuple[int, int]] = []
    report = check_gradient(
        loss, np.exp, np.ones(30), method=method, progress=lambda *now: told.append(now)
    )
    done = [d for d, _ in told]
    assert done == list(range(3, report.nfev + 1))
    assert all(d <= total for d, total in told)


def test_a_progress_bar_appears_where_it_is_asked_for(capsys: Any) -> None:
    pytest.importorskip("tqdm")
    check_gradient(loss, np.exp, X0, progress=True)
    assert "gradcheck" in capsys.readouterr().err
    check_gradient(loss, np.exp, X0, progress=False)
    assert capsys.readouterr().err == ""


def test_a_bar_without_tqdm_says_how_to_get_it(monkeypatch: Any) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
    evaluator = Evaluator(loss, Parameters(X0), ())
    words = r"`progress=True` needs tqdm.*`pip install tqdm`"
    with pytest.raises(ImportError, match=words), showing(evaluator, True, 10):
        pass


@pytest.mark.parametrize("progress", [1, "yes", 0])
def test_progress_is_true_or_callable(progress: Any) -> None:
    with pytest.raises(TypeError, match=r"`progress` is .*callable"):
        check_gradient(loss, np.exp, X0, progress=progress)


# ---------------------------------------------------------------- structures that change


def replaces(p: Any) -> Any:
    for key in p:
        p[key] = p[key] * 1.0
    return p["W"] @ p["W"]


def pops(p: Any) -> Any:
    W = p.pop("W")
    return W @ W


@pytest.mark.parametrize("method", ["entries", "directions"])
@pytest.mark.parametrize("fun", [replaces, pops])
def test_an_array_that_is_replaced_is_a_change_in_place(fun: Any, method: Any) -> None:
    x0 = {"W": np.ones(3)}
    with pytest.raises(ValueError, match=r"`fun` changes its input in place \(W\)"):
        check_gradient(fun, lambda p: {"W": 2 * p["W"]}, x0, method=method)
    with pytest.raises(ValueError, match=r"`grad` changes its input in place \(W\)"):
        check_gradient(
            lambda p: p["W"] @ p["W"], lambda p: {"W": 0 * p["W"] + fun(p)}, x0, method=method
        )
    assert list(x0) == ["W"]


def test_what_is_raised_along_a_direction_says_where() -> None:
    def fun(p: Any) -> Any:
        if p["W"][0] != 1:
            raise RuntimeError("no")
        return np.sum(p["W"]) + np.sum(p["b"])

    with pytest.raises(RuntimeError) as caught:
        check_gradient(
            fun,
            {"W": np.ones(2), "b": np.ones(2)},
            {"W": np.ones(2), "b": np.ones(2)},
            method="directions",
        )
    (note,) = caught.value.__notes__
    assert re.search(r"at a step of up to \d\.?\d*e-\d+ along a direction in W, b$", note)


def test_a_warning_whose_numbers_change_comes_once() -> None:
    def fun(w: Any) -> Any:
        warnings.warn(f"w is {w[0]:.17g}", UserWarning, stacklevel=1)
        return np.sum(np.exp(w))

    assert len(warnings_of(lambda: check_gradient(fun, np.exp, X0))) == 1
