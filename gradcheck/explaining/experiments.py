"""Where no pattern fits, try: the same gradient with other data, settings, steps, at other points.

Each trial holds one slope, along a random direction in the wrong arrays, against the gradient: what
is said is what was tried, and what was seen. All take at most 50 calls of `fun`.
"""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.explaining.evidence import Finding
from gradcheck.judging.judge import Problem
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import LOUD, estimate_noise
from gradcheck.measuring.pair import Pair
from gradcheck.measuring.parameters import Array
from gradcheck.measuring.slopes import Ladder, entry_line, typical_sizes

BUDGET = 50  # calls of `fun`
MOVE = 0.01  # of the size of a parameter: a loss that rounds it stands still over that
RIGHT, WRONG = 1e-5, 1e-3  # a slope off by less of its size is right, by more wrong


class SpentError(Exception):
    """All calls of `fun` that a trial may take are taken."""


class Trial:
    """Asks whether a gradient is right along a direction, with other data or at another point."""

    def __init__(self, evaluator: Evaluator, grad: Any, arrays: Sequence[int]) -> None:
        self.evaluator, self.parameters = evaluator, evaluator.parameters
        self.fun, self.left = evaluator.loss.fun, BUDGET
        self.grad = grad
        if isinstance(self.fun, Pair):
            pair = self.fun
            self.grad = lambda x, *args: pair.fun(x, *args)[1]
        rng = np.random.default_rng(0)
        x0 = self.parameters.x0
        self.along = {k: rng.normal(size=x0[k].size) * typical_sizes(x0[k]) for k in arrays}
        self.step = float(evaluator.eps) ** (1 / 4) / 10

    def __call__(self, args: Sequence[Any], point: Sequence[Array] | None = None) -> bool | None:
        """Return whether it is right; None where that cannot be told, or the code cannot."""
        x0 = self.parameters.x0
        try:
            return self._right(args, x0 if point is None else point)
        except SpentError:
            raise
        except Exception:
            return None
        finally:
            for flat, start in zip(self.parameters.flats, x0, strict=True):
                flat[:] = start

    def _right(self, args: Sequence[Any], point: Sequence[Array]) -> bool | None:
        h = self.step
        self._go(point, 0.0)
        gradient = self.parameters.match(self.grad(self.parameters.tree, *args), "grad")
        losses = []
        for t in (-h, h, -h / 2, h / 2):
            if not self.left:
                raise SpentError
            self._go(point, t)
            self.left -= 1
            self.evaluator.nfev += 1
            losses.append(float(self.fun(self.parameters.tree, *args)))
        far, near = (losses[1] - losses[0]) / (2 * h), (losses[3] - losses[2]) / h
        slopes = [gradient[k].astype(float) * d for k, d in self.along.items()]
        size = float(np.sqrt(sum(np.sum(s**2) for s in slopes))) + abs(near)
        noise = 10 * self.evaluator.eps * max(map(abs, losses)) / h
        gap = abs(float(sum(s.sum() for s in slopes)) - (4 * near - far) / 3)
        bar = abs(near - far) + noise
        if not size or not np.isfinite(gap + bar):
            return None
        if gap <= RIGHT * size + bar and bar < WRONG * size:
            return True
        return False if gap > WRONG * size + 3 * bar else None

    def _go(self, point: Sequence[Array], t: float) -> None:
        for k, (flat, x) in enumerate(zip(self.parameters.flats, point, strict=True)):
            flat[:] = x + t * self.along[k] if k in self.along else x


def moves(problem: Problem, array: int, index: int) -> bool:
    """Whether the loss moves with an entry, as where it is even, over less than a stair."""
    evaluator = problem.evaluator
    x = evaluator.parameters.x0[array][index]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            (loss,) = evaluator([((array, index, x + MOVE * (abs(x) or 1)),)])
        except Exception:
            return False
    return abs(loss - evaluator.at_x0) > LOUD * problem.noise


class Seen(NamedTuple):
    """What a trial showed: a name for it, what was tried and seen, and where to look."""

    bug: str
    said: str
    look_at: str = ""


def tried(evaluator: Evaluator, grad: Any, arrays: Sequence[int]) -> list[Seen]:
    """Try the gradient of some arrays elsewhere; first of what was seen is what tells the most."""
    seen: list[Seen] = []
    trial = Trial(evaluator, grad, arrays)
    if not (callable(trial.grad) and arrays):
        return []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            if trial(evaluator.args) is not False:
                return []
            for look in (_settings, _rows, _points):
                seen.extend(look(trial, evaluator.args))
        except SpentError:
            pass
    return sorted(seen, key=lambda s: not s.bug)


def _settings(trial: Trial, args: Sequence[Any]) -> Iterator[Seen]:
    """Try each number in `args` as 0: a penalty, a rate, a weight of a term."""
    names = [f"args[{i}]" for i in range(len(args))]
    fun = trial.fun.fun if isinstance(trial.fun, Pair) else trial.fun
    try:
        known = [p for p in inspect.signature(fun).parameters.values() if p.kind < p.VAR_POSITIONAL]
        given = [p.name for p in known[1 : len(args) + 1]]
        names[: len(given)] = given
    except (TypeError, ValueError):
        pass
    for i, value in enumerate(args):
        if not isinstance(value, (float, np.floating)) or value == 0:
            continue
        result = trial([*args[:i], type(value)(0), *args[i + 1 :]])
        if result:
            look_at = f"what `{names[i]}` multiplies: in the loss, and in the gradient"
            yield Seen("one term", f"right with {names[i]} = 0, wrong with {value:g}", look_at)
        elif result is False:
            yield Seen("", f"wrong with {names[i]} = 0, too")


def _rows(trial: Trial, args: Sequence[Any]) -> Iterator[Seen]:
    """Try fewer rows of the data, to see how many it takes to be wrong."""
    lengths = Counter(n for n in map(_length, args) if n)
    if not lengths or (n := lengths.most_common(1)[0][0]) < 2:
        return

    def some(rows: list[int]) -> bool | None:
        picked = [_take(a, rows) if _length(a) == n else a for a in args]
        return trial(picked)

    first = some([0])
    if first is False:
        yield Seen("", "wrong with the first row of the data alone, too")
    if not first:
        return
    right, wrong = 1, n  # so many of the first rows
    while wrong - right > 1:
        middle = (right + wrong) // 2 if right > 1 else right + 1
        if (told := some(list(range(middle)))) is None:
            return
        right, wrong = (middle, wrong) if told else (right, middle)
    last = wrong - 1
    fine = f"right with the first {'row' if right == 1 else f'{right} rows'}"
    if wrong > 1 and some([last]) is False:
        look_at = f"what tells row {last} from those before it: a label, a zero, a tie, a length"
        yield Seen("one example", f"{fine}, wrong with row {last} alone", look_at)
        return
    said = f"{fine} of the data alone, "
    look_at = (
        "what joins the examples: a sum or mean over them, an axis, a value of one used for all"
    )
    yield Seen("several examples", f"{said}wrong with the first {wrong}", look_at)


def _points(trial: Trial, args: Sequence[Any]) -> Iterator[Seen]:
    """Try other points: all parameters moved, and all of them positive."""
    x0, rng = trial.parameters.x0, np.random.default_rng(1)
    moved = [x + 0.3 * typical_sizes(x) * rng.normal(size=x.size) for x in x0]
    if result := trial(args, moved):
        yield Seen("this point", "right at another point", POINT)
    elif result is False:
        yield Seen("", "wrong at another point, too")
    if any((x < 0).any() for x in x0) and trial(args, [np.abs(x) for x in x0]):
        # no name: where all is positive, an error may be small by saturation
        yield Seen("", "right with the absolute value of all parameters")


def _length(value: Any) -> int:
    rows = isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return len(value) if rows else 0


def _take(value: Any, rows: list[int]) -> Any:
    return [value[i] for i in rows] if isinstance(value, list) else value[rows]


def own_steps(
    evaluator: Evaluator, entries: Sequence[tuple[int, int, float]], step: float, count: int = 3
) -> Finding | None:
    """Say whether entries that are wrong by the user's step agree by steps of their own."""
    before = evaluator.nfev
    noise = estimate_noise(evaluator)
    agree = tried = 0
    for k, i, a in entries[:count]:
        if evaluator.nfev - before > BUDGET - 15:
            break
        scale = typical_sizes(evaluator.parameters.x0[k])[i]
        found = Ladder(entry_line(evaluator, k, i), evaluator, noise, 1e-3 * scale).climb()
        tried += 1
        agree += found is not None and abs(a - found.value) <= WRONG * abs(a) + 3 * found.error
    if not tried or agree < tried:
        return None
    where = ", ".join(evaluator.parameters.entry_name(k, i) for k, i, _ in entries[:tried])
    evidence = f"tried: by steps of their own, {agree} of the {len(entries)} wrong entries agree"
    return Finding(where, "step", evidence, f"`step={step:g}` is too wide here: leave it out")


POINT = "what is special at this point: zeros, ties, equal values, a bound"
