"""What other checks say of the same gradients: SciPy's `check_grad`, and two recipes from courses.

Each gives a number, small where the gradient is right; who uses it draws a line. All see flat
float64 arrays, and no float32 case: the recipes ask for double precision. A number that is NaN, or
an error, is not a pass.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import check_grad

from .problems import leaves, tree_map
from .right import right_cases
from .wrong import plants, wrong_cases

EVERYDAY = ("network", "model")  # kinds of right cases; the others are made to be hard
Loss = Callable[[np.ndarray], Any]


class Counts(NamedTuple):
    """How often one check with one limit is at fault."""

    check: str
    limit: float
    blamed_everyday: int
    blamed_hard: int
    passed: int  # wrong gradients
    at_best: int  # blamed and passed together, with the limit that is best for these cases


class Totals(NamedTuple):
    """Out of how many."""

    everyday: int
    hard: int
    wrong: int


def by_scipy(fun: Loss, gradient: np.ndarray, x: np.ndarray) -> float:
    """Return SciPy's number: the length of the difference, with forward differences."""
    return float(check_grad(fun, lambda _: gradient, x))


def by_entry(fun: Loss, gradient: np.ndarray, x: np.ndarray) -> float:
    """Return the largest relative error of an entry (https://cs231n.github.io/neural-networks-3/).

    The notes take a step of about 1e-5, and pass an entry where both values are 0.
    """
    numerical = central(fun, x, 1e-5)
    size = np.abs(gradient) + np.abs(numerical)
    errors = np.abs(gradient - numerical) / np.where(size == 0, 1, size)
    return float(np.max(errors))


def by_length(fun: Loss, gradient: np.ndarray, x: np.ndarray) -> float:
    """Return the relative error of the whole vector, as the course of deeplearning.ai has it."""
    numerical = central(fun, x, 1e-7)
    size = np.linalg.norm(gradient) + np.linalg.norm(numerical)
    return float(np.linalg.norm(gradient - numerical) / size) if size else 0.0


def central(fun: Loss, x: np.ndarray, step: float) -> np.ndarray:
    """Return central differences with one step for all entries."""
    steps = step * np.eye(x.size)
    return np.array([(fun(x + h) - fun(x - h)) / (2 * step) for h in steps], dtype=float)


CHECKS: dict[str, tuple[Callable[..., float], tuple[float, ...]]] = {
    "scipy `check_grad`": (by_scipy, (1e-6, 1e-4)),
    "CS231n": (by_entry, (1e-2, 1e-4)),
    "deeplearning.ai": (by_length, (2e-7, 1e-5)),
}


def flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in leaves(tree)]).astype(float)


def cases(seed: int) -> Iterator[tuple[str, Loss, np.ndarray, np.ndarray]]:
    """Yield the kind ("wrong" for a wrong gradient), the loss, the gradient and the point."""

    def loss_of(case: Any) -> Loss:
        sizes = [leaf.size for leaf in leaves(case.x0)]

        def loss(x: np.ndarray) -> Any:
            parts = iter(np.split(x, np.cumsum(sizes)[:-1]))
            tree = tree_map(lambda leaf: next(parts).reshape(np.shape(leaf)).copy(), case.x0)
            return case.fun(tree, *case.args)

        return loss

    for case in right_cases(seed):
        if case.dtype == "float32":
            continue
        loss, x = loss_of(case), flat(case.x0)
        yield case.kind, loss, flat(case.grad(case.x0, *case.args)), x
        for plant in plants(case, seed) if not case.at_minimum else ():
            if not plant.left_out:
                yield "wrong", loss, flat(plant.gradient), x
    for wrong in wrong_cases(seed):
        gradient = flat(wrong.grad(wrong.x0, *wrong.args))
        yield "wrong", loss_of(wrong), gradient, flat(wrong.x0)


def count(seed: int = 0) -> tuple[Totals, list[Counts]]:
    """Run every check on the cases of one seed."""
    kinds = []
    numbers: dict[str, list[float]] = {name: [] for name in CHECKS}
    for kind, loss, gradient, x in cases(seed):
        kinds.append(kind)
        for name, (check, _) in CHECKS.items():
            try:
                with np.errstate(all="ignore"):
                    number = check(loss, gradient, x)
            except Exception:
                number = np.inf
            numbers[name].append(np.inf if np.isnan(number) else number)
    wrong, everyday = np.array(kinds) == "wrong", np.isin(kinds, EVERYDAY)
    hard = ~wrong & ~everyday
    rows = []
    for name, (_, limits) in CHECKS.items():
        values = np.array(numbers[name])
        at_best = min(np.sum(wrong != (values > limit)) for limit in values)
        rows += [
            Counts(
                name,
                limit,
                int(np.sum(everyday & (values > limit))),
                int(np.sum(hard & (values > limit))),
                int(np.sum(wrong & (values <= limit))),
                int(at_best),
            )
            for limit in limits
        ]
    return Totals(int(everyday.sum()), int(hard.sum()), int(wrong.sum())), rows


if __name__ == "__main__":
    print(*count(), sep="\n")
