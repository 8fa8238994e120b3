"""Random smooth functions with known derivatives: does the error bar cover the truth?"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .problems import EPS

# name: (function, derivative), all smooth and tame on [-3, 3]
ELEMENTS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda u: -np.sin(u)),
    "exp": (np.exp, np.exp),
    "tanh": (np.tanh, lambda u: 1 / np.cosh(u) ** 2),
    "arctan": (np.arctan, lambda u: 1 / (1 + u * u)),
    "log(1 + u^2)": (lambda u: np.log1p(u * u), lambda u: 2 * u / (1 + u * u)),
    "sqrt(1 + u^2)": (lambda u: np.sqrt(1 + u * u), lambda u: u / np.sqrt(1 + u * u)),
    "u^2": (lambda u: u * u, lambda u: 2 * u),
    "u^3": (lambda u: u**3, lambda u: 3 * u * u),
    "u / (1 + u^2)": (lambda u: u / (1 + u * u), lambda u: (1 - u * u) / (1 + u * u) ** 2),
    "Gaussian": (lambda u: np.exp(-u * u), lambda u: -2 * u * np.exp(-u * u)),
    "softplus": (lambda u: np.logaddexp(0 * u, u), lambda u: 1 / (1 + np.exp(-u))),
}


class Function(NamedTuple):
    fun: Callable[[Any], Any]
    gradient: np.ndarray  # in np.longdouble
    x0: np.ndarray


def functions(count: int, seed: int = 0) -> Iterator[Function]:
    """Yield random functions c (F(x) op G(x)) + d, with chains F, G of up to four elements.

    A chain starts from a weighted sum a . x and goes through random elements, each after a random
    affine map that keeps it within [-3, 3] at the point. The parameters have a size between 1e-6
    and 1e6, the loss a factor c as wide; one in four has a constant d up to 1000 c added. The
    gradient is the chain rule in ``np.longdouble``.
    """
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield _function(rng)


def _function(rng: np.random.Generator) -> Function:
    size, factor = 10 ** rng.uniform(-6, 6, 2)
    n = int(rng.integers(1, 13))
    x0 = size * rng.normal(size=n)
    chains = [_chain(rng, x0, size) for _ in range(rng.integers(1, 4))]
    together = rng.choice(["sum", "product"])
    constant = factor * 10 ** rng.uniform(-3, 3) if rng.random() < 0.25 else 0.0

    def evaluate(x: Any) -> tuple[Any, Any]:
        values, slopes = zip(*(chain(x) for chain in chains), strict=True)
        if together == "sum":
            return factor * sum(values) + constant, factor * sum(slopes)
        product = np.prod(values)
        rest = [np.prod([v for j, v in enumerate(values) if j != k]) for k in range(len(values))]
        total = sum(s * r for s, r in zip(slopes, rest, strict=True))
        return factor * product + constant, factor * total

    return Function(lambda x: evaluate(x)[0], evaluate(x0.astype(np.longdouble))[1], x0)


def _chain(
    rng: np.random.Generator, x0: np.ndarray, size: float
) -> Callable[[Any], tuple[Any, Any]]:
    a = rng.normal(size=len(x0)) / size
    links = []
    u = a @ x0
    for name in rng.choice(list(ELEMENTS), size=rng.integers(1, 5)):
        gain, shift = rng.uniform(0.3, 2) / max(1, abs(u)), rng.uniform(-1, 1)
        function, slope = ELEMENTS[name]
        u = function(gain * u + shift)
        links.append((gain, shift, function, slope))

    def evaluate(x: Any) -> tuple[Any, Any]:
        u, du = a @ x, a
        for gain, shift, function, slope in links:
            v = gain * u + shift
            u, du = function(v), slope(v) * gain * du
        return u, du

    return evaluate


class Coverage(NamedTuple):
    """How often the bar covers the error, and how wide it is."""

    total: int
    covered: int
    median_ratio: float  # of the bar to the true error
    median_error: float  # relative to the derivative


def coverage(values: Any, errors: Any, truths: Any) -> Coverage:
    """Compare error bars with true errors.

    A value is rounded to float64 at best, so a true error counts as at least half an eps of the
    derivative: a value that hits the truth by luck does not make the bar infinitely too wide.
    """
    values, errors, truths = (np.asarray(a, dtype=np.longdouble) for a in (values, errors, truths))
    true_errors = np.abs(values - truths)
    floor = EPS / 2 * np.abs(truths)
    covered = true_errors <= np.maximum(errors, floor)
    ratio = errors / np.maximum(np.maximum(true_errors, floor), np.finfo(float).tiny)
    relative = true_errors / np.maximum(np.abs(truths), np.finfo(float).tiny)
    return Coverage(
        len(values), int(covered.sum()), float(np.median(ratio)), float(np.median(relative))
    )


def measure(count: int = 1000, seed: int = 0) -> dict[str, Coverage]:
    """Measure both public functions over `count` random functions each."""
    from gradcheck import directional_derivative, numerical_gradient

    rng = np.random.default_rng([seed, 1])
    along: list[tuple[Any, Any, Any]] = []
    each: list[tuple[Any, Any, Any]] = []
    for f in functions(count, seed):
        direction = rng.normal(size=len(f.x0)) * np.abs(f.x0)
        d = directional_derivative(f.fun, f.x0, direction)
        along.append((d.value, d.error, f.gradient @ direction))
        g = numerical_gradient(f.fun, f.x0)
        each.extend(zip(g.value, g.error, f.gradient, strict=True))
    return {
        "directional_derivative": coverage(*zip(*along, strict=True)),
        "numerical_gradient": coverage(*zip(*each, strict=True)),
    }
