"""Gradients that are wrong: classical bugs on plain problems, and plants in the right cases."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .problems import Problem, affine, leaves, linear, network, softmax, tree_map
from .right import Case, rosenbrock
from .truth import one_sided_slopes

Rng = np.random.Generator


@dataclass(frozen=True)
class WrongCase:
    """One loss with a wrong gradient."""

    name: str
    bug: str
    fun: Callable[..., Any]
    grad: Callable[..., Any]
    x0: Any
    args: tuple[Any, ...]
    right: Any  # the values of the right gradient


# ---------------------------------------------------------------- bugs in the values

Bug = Callable[[Any, Problem, Rng], Any]  # (right gradient, its problem, rng) -> wrong, or None


def everywhere(change: Callable[[np.ndarray], Any]) -> Bug:
    """A bug in every array."""
    return lambda g, problem, rng: tree_map(change, g)


def one_array(change: Callable[[np.ndarray], Any], ndim: int = 0) -> Bug:
    """A bug in one array of at least `ndim` dimensions; None where there is none."""

    def plant(g: Any, problem: Problem, rng: Rng) -> Any:
        fit = [k for k, a in enumerate(leaves(g)) if a.ndim >= ndim and a.size > 1]
        if not fit:
            return None
        chosen, count = rng.choice(fit), iter(range(len(leaves(g))))
        return tree_map(lambda a: change(a) if next(count) == chosen else a, g)

    return plant


def one_entry(change: Callable[[float], float]) -> Bug:
    """A bug in one entry, of those that are at least a tenth of the largest of their array."""

    def plant(array: np.ndarray) -> np.ndarray:
        # the place is drawn from the values, so that the same gradient has the same bug
        wrong, sizes = array.copy(), np.abs(array).ravel()
        large = np.flatnonzero(sizes >= 0.1 * sizes.max())
        i = large[int(1e6 * float(sizes.sum() / sizes.max())) % len(large)]
        wrong.flat[i] = change(wrong.flat[i])
        return wrong

    return one_array(plant)


def _batch(power: int) -> Bug:
    """Mean and sum over the rows of the data taken for each other."""

    def plant(g: Any, problem: Problem, rng: Rng) -> Any:
        return tree_map(lambda a: a * len(problem.args[0]) ** power, g) if problem.args else None

    return plant


def _biases(change: Callable[[np.ndarray], Any]) -> Bug:
    """A bug in every bias."""

    def plant(g: Any, problem: Problem, rng: Rng) -> Any:
        if not isinstance(g, dict):
            return None
        return {name: change(a) if name[0] == "b" else a for name, a in g.items()}

    return plant


def _stale(g: Any, problem: Problem, rng: Rng) -> Any:
    rate = 0.01 / max(np.abs(a).max() for a in leaves(g))
    moved = tree_map(lambda x, d: x - rate * d, problem.x0, g)
    return problem.grad(moved, *problem.args)


def _clipped(g: Any, problem: Problem, rng: Rng) -> Any:
    limit = 0.5 * max(np.abs(a).max() for a in leaves(g))
    return tree_map(lambda a: np.clip(a, -limit, limit), g)


def _normalised(g: Any, problem: Problem, rng: Rng) -> Any:
    norm = np.sqrt(sum(np.sum(a**2) for a in leaves(g)))
    return tree_map(lambda a: a / (2 * norm), g)


def _swapped(array: np.ndarray) -> np.ndarray:
    wrong, order = array.copy(), np.argsort(array, axis=None)
    wrong.flat[order[[0, -1]]] = array.flat[order[[-1, 0]]]
    return wrong


def _first_row(change: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.concatenate([change * a[:1], a[1:]])


VALUE_BUGS: dict[str, Bug] = {
    "sign": everywhere(np.negative),
    "twice": everywhere(lambda a: 2 * a),
    "half": everywhere(lambda a: a / 2),
    "sum for mean": _batch(1),
    "mean twice": _batch(-1),
    "all zero": everywhere(np.zeros_like),
    "1e-3 too large": everywhere(lambda a: a * 1.001),
    "kept in float16": everywhere(lambda a: a * (1 + 2**-11 * np.sign(np.sin(1e9 * a)))),
    "bias missing": _biases(np.zeros_like),
    "bias with the wrong sign": _biases(np.negative),
    "one array with the wrong sign": one_array(np.negative),
    "one array never written": one_array(np.zeros_like),
    "one array plus a constant": one_array(lambda a: a + 0.1 * np.abs(a).max()),
    "one array averaged": one_array(lambda a: np.full_like(a, a.mean())),
    "transposed": one_array(
        lambda a: a.T if a.shape[0] == a.shape[1] else a.T.reshape(a.shape), ndim=2
    ),
    "rows turned round": one_array(lambda a: a[::-1]),
    "shifted by one": one_array(lambda a: np.roll(a, 1).reshape(a.shape)),
    "two entries swapped": one_array(_swapped),
    "first row missing": one_array(_first_row(0.0)),
    "first row twice": one_array(_first_row(2.0)),
    "one entry 1e-3 too large": one_entry(lambda v: v * 1.001),
    "one entry 1e-5 too large": one_entry(lambda v: v * 1.00001),
    "one entry zero": one_entry(lambda v: 0.0),
    "one entry with the wrong sign": one_entry(lambda v: -v),
    "one entry NaN": one_entry(lambda v: np.nan),
    "one entry infinite": one_entry(lambda v: np.inf),
    "all NaN": everywhere(lambda a: np.full_like(a, np.nan)),
    "from the step before": _stale,
    "clipped": _clipped,
    "normalised": _normalised,
}

BASES: dict[str, Callable[[Rng], Problem]] = {
    "network": network,
    "logistic": partial(linear, loss="logistic"),
    "softmax": partial(softmax, square=True),
    "Rosenbrock": rosenbrock,
}

# ---------------------------------------------------------------- bugs in the back-pass

CODE_BUGS = (
    "target with the wrong sign",
    "pre-activation fed forward",
    "activation derivative forgotten",
    "derivative at the output",
    "derivative squared",
    "activation instead of its derivative",
    "derivative of a sigmoid",
    "weights already updated",
    "bias averaged again",
    "bias from one row",
    "penalty forgotten",
    "penalty twice",
    "penalty subtracted",
    "penalty on the bias",
)
FACTORS = {"": 1.0, ", loss times 1e-6": 1e-6, ", loss times 1e8": 1e8}


def wrong_cases(seed: int) -> Iterator[WrongCase]:
    """Yield every bug on every base, and on one base with the loss scaled."""
    for number, (bug, plant) in enumerate(VALUE_BUGS.items()):
        for place, (base, make) in enumerate(BASES.items()):
            # a softmax alone has a square matrix, a network alone all the parts
            scaled = place == (2 if bug == "transposed" else 0)
            for suffix, factor in FACTORS.items():
                if suffix and not scaled:
                    continue
                problem = affine(make(np.random.default_rng([seed, number, place])), factor)
                right = problem.grad(problem.x0, *problem.args)
                wrong = plant(right, problem, np.random.default_rng([seed, number]))
                if wrong is not None:
                    yield _wrong(f"{bug}: {base}{suffix}", bug, problem, wrong)
    for number, bug in enumerate(CODE_BUGS):
        for suffix, factor in FACTORS.items():
            sound, faulty = (
                network(np.random.default_rng([seed, 1, number]), hidden=(4, 3), l2=0.1, fault=f)
                for f in ("", bug)
            )
            wrong = affine(faulty, factor).grad(sound.x0, *sound.args)
            yield _wrong(f"{bug}: back-pass{suffix}", bug, affine(sound, factor), wrong)


def _wrong(name: str, bug: str, problem: Problem, wrong: Any) -> WrongCase:
    return WrongCase(
        name,
        bug,
        problem.fun,
        lambda x, *args: tree_map(np.array, wrong),
        problem.x0,
        problem.args,
        problem.grad(problem.x0, *problem.args),
    )


# ---------------------------------------------------------------- power on the right cases


@dataclass(frozen=True)
class Plant:
    """A wrong gradient for a right case, and what a check should be able to see of it."""

    name: str
    gradient: Any
    relative_error: float
    arrays: tuple[int, ...]  # where it is
    left_out: str  # why it is not counted, if it is not


def plants(case: Case, seed: int) -> Iterator[Plant]:
    """Yield the gradient negated, one array 10 % too large, its largest entry 50 % too large."""
    right = tree_map(np.array, case.grad(case.x0, *case.args))
    arrays = leaves(right)
    slopes = one_sided_slopes(case) if case.at_kink else None
    limits = _limits(case, arrays)

    def planted(name: str, factors: list[Any], relative_error: float) -> Plant:
        changed = [(a * f).astype(a.dtype) for a, f in zip(arrays, factors, strict=True)]
        places = tuple(k for k, f in enumerate(factors) if np.any(np.asarray(f) != 1))
        left_out = ""
        if slopes and not any(_beyond(changed[k], *slopes[k], limits[k]) for k in places):
            left_out = "between the two slopes at a kink, where nothing is wrong"
        elif not any(np.any(np.abs(changed[k] - arrays[k]) > limits[k]) for k in places):
            left_out = "smaller than what the noise of the loss hides"
        count = iter(changed)
        gradient = tree_map(lambda _: next(count), right)
        return Plant(name, gradient, relative_error, places, left_out)

    yield planted("negated", [-1.0] * len(arrays), 2.0)
    nonzero = [k for k, a in enumerate(arrays) if np.any(a)]
    chosen = nonzero[seed % len(nonzero)]
    yield planted("one array 10 %", [1.1 if k == chosen else 1.0 for k in range(len(arrays))], 0.1)
    peaks = [np.abs(a).max() for a in arrays]
    chosen = int(np.argmax(peaks))
    factors: list[Any] = [np.ones(a.shape) for a in arrays]
    factors[chosen][np.unravel_index(np.argmax(np.abs(arrays[chosen])), arrays[chosen].shape)] = 1.5
    yield planted("largest entry 50 %", factors, 0.5)


def _beyond(values: Any, back: Any, forth: Any, bar: Any, limit: Any) -> bool:
    """Whether a value lies outside the two one-sided slopes."""
    low, high = np.minimum(back, forth) - bar - limit, np.maximum(back, forth) + bar + limit
    return bool(np.any((values < low) | (values > high)))


def _limits(case: Case, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return, for each array, how far an entry must be off to be seen by a finite difference.

    Central differences of a loss known to `noise` reach about noise^(2/3) of the loss over the
    size of the parameter, and no better than the noise over the distance of the nearest kink.
    """
    f = abs(float(case.fun(case.x0, *case.args)))
    limits = []
    for x, g in zip(leaves(case.x0), arrays, strict=True):
        sizes = np.abs(np.asarray(x, dtype=float))
        typical = np.median(sizes[sizes > 0]) if np.any(sizes) else 1.0
        sizes = np.where(sizes > 0, sizes, typical)
        largest = np.max(np.abs(g * sizes))
        noise = case.noise * max(f, largest)
        limit = max(5 * noise ** (2 / 3) * largest ** (1 / 3), 3 * noise / case.near)
        limits.append(limit / sizes)
    return limits
