"""``python -m tests.benchmarks``: print what a check costs, as ratios measured in one run.

Calls of the loss and parameter vectors of memory are counted, and do not depend on the machine.
Seconds do, so they stand beside bare calls of the same loss, taken in turn in the same run; the
smallest of several repeats counts. Peers are printed where they are installed (extra ``peers``).
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from gradcheck import check_gradient
from gradcheck.learning import linear_model, neural_network

from . import peers
from .slow import slow_gradient, slow_loss

Parameters = dict[str, Any]
LARGE = (784, 1000, 250, 10)  # 1,037,760 parameters
MEDIUM = (40, 100, 50, 20)  # 10,170 parameters


def network(sizes: tuple[int, ...], seed: int) -> tuple[Parameters, tuple[Any, Any]]:
    """Return the parameters of a network at a point like after training, and its data."""
    rng = np.random.default_rng(seed)
    params = neural_network.initial_parameters(list(sizes), rng)
    params = {name: p + 0.01 * rng.normal(size=p.shape) for name, p in params.items()}
    return params, (rng.normal(size=(16, sizes[0])), rng.integers(0, sizes[-1], 16))


def plant(
    right: Parameters, wrong: int, relative_error: float | None, rng: np.random.Generator
) -> tuple[Parameters, set[str]]:
    """Make some entries wrong, of at least a fifth of their array's mean size; return their names.

    The relative error is drawn from 1e-3 to 1, evenly on a log scale, where none is given.
    """
    gradient = {name: g.copy() for name, g in right.items()}
    names: set[str] = set()
    while len(names) < wrong:
        name = str(rng.choice(list(gradient)))
        index = tuple(int(rng.integers(n)) for n in gradient[name].shape)
        entry = f"{name}[{', '.join(map(str, index))}]"
        large = abs(right[name][index]) >= 0.2 * np.mean(np.abs(right[name]))
        if large and entry not in names:
            error = 10 ** rng.uniform(-3, 0) if relative_error is None else relative_error
            gradient[name][index] *= 1 + error * rng.choice((-1.0, 1.0))
            names.add(entry)
    return gradient, names


def right_gradients(networks: int = 20) -> Iterator[tuple[str, str, str]]:
    """Right gradients of a million parameters: the most calls that one of many networks needs."""
    for hidden in neural_network.HIDDEN:
        calls = []
        for seed in range(networks):
            params, data = network(LARGE, seed)
            args = (*data, hidden)
            report = check_gradient(
                neural_network.loss, neural_network.gradient, params, args=args, rng=seed
            )
            assert report.passed
            calls.append(report.nfev)
        what = f"{report.size:,} parameters, {hidden}, {networks} right"
        yield what, f"{np.median(calls):.0f} calls, at most {max(calls)}", "at most 24, 40"


def million() -> Iterator[tuple[str, str, str]]:
    """A network of about a million parameters: calls, and memory beyond the loss."""
    params, args = network(LARGE, 0)
    size: int = sum(p.size for p in params.values())
    right = neural_network.gradient(params, *args)
    check = partial(check_gradient, neural_network.loss, x0=params, args=args)

    def vectors(work: Callable[[], Any]) -> float:
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / (8 * size)

    loss = vectors(lambda: neural_network.loss(params, *args))
    report = check(right)
    yield f"{size:,} parameters, right", f"{report.nfev} calls", "at most 40"
    assert report.passed
    goals = {1: 45, 3: 100, 5: 150}
    for wrong, relative_error in ((1, 1.0), (1, 1e-2), (1, 1e-3), (3, None), (5, None)):
        rng = np.random.default_rng(wrong)
        gradient, names = plant(right, wrong, relative_error, rng)
        report = check(gradient)
        named = {entry.name for entry in report.wrong} == names
        error = "0.1 to 100 %" if relative_error is None else f"{relative_error:.1%}"
        yield (
            f"{wrong} wrong by {error}",
            f"{report.nfev} calls, {'named' if named else 'NOT NAMED'}",
            f"at most {goals[wrong]}",
        )
    memory = vectors(lambda: check(right)) - loss
    yield "memory, right", f"{memory:.1f} parameter vectors", "at most 5.5"
    memory = vectors(lambda: check(gradient)) - loss
    yield "memory, 5 wrong", f"{memory:.1f} parameter vectors", "at most 5.5"


def plantings(count: int) -> Iterator[tuple[str, str, str]]:
    """Random plantings: are exactly the wrong entries named?"""
    for sizes in (MEDIUM, LARGE):
        exact = false = most = 0
        for seed in range(count):
            rng = np.random.default_rng(seed)
            params, args = network(sizes, seed)
            right = neural_network.gradient(params, *args)
            gradient, names = plant(right, int(rng.integers(1, 6)), None, rng)
            report = check_gradient(neural_network.loss, gradient, params, args=args, rng=seed)
            named = {entry.name for entry in report.wrong}
            exact += named == names
            false += len(named - names)
            most = max(most, report.nfev)
        size = sum(p.size for p in params.values())
        yield f"{size:,} parameters, {count} plantings", f"{exact / count:.0%} exact", "100 %"
        yield "  right entries named", str(false), "0"
        yield "  most calls", str(most), ""


def entry_by_entry() -> Iterator[tuple[str, str, str]]:
    """Entry by entry against 2 P bare calls of the loss: linear loss, 200 rows."""
    for size, goal, repeats in ((1000, "1.15", 15), (5000, "1.10", 4)):
        rng = np.random.default_rng(size)
        args = rng.normal(size=(200, size)), rng.normal(size=200)
        w = rng.normal(size=size)

        def bare(w: Any = w, args: Any = args) -> None:
            for _ in range(2 * w.size):
                linear_model.loss(w, *args)

        ours = partial(
            check_gradient, linear_model.loss, linear_model.gradient, w, args=args, method="entries"
        )
        rivals = {"gradcheck": ours} | peers.entry_by_entry(w, *args)
        best = dict.fromkeys(["bare", *rivals], np.inf)
        for turn in range(repeats):
            for name, work in [("bare", bare), *rivals.items()]:
                if turn > 1 and best[name] > 10 * best["bare"]:
                    continue  # known to be slow: twice is enough, the first time warms up
                start = time.perf_counter()
                work()
                best[name] = min(best[name], time.perf_counter() - start)
        for name in rivals:
            ratio = f"{best[name] / best['bare']:.2f} times 2 P bare calls"
            yield f"P = {size:,}: {name}", ratio, f"at most {goal}" if name == "gradcheck" else ""


def two_workers() -> Iterator[tuple[str, str, str]]:
    """A loss of 50 ms, with one worker and with two."""
    w = np.linspace(0.1, 1.0, 40)
    seconds = {}
    for workers in (1, 2):
        start = time.perf_counter()
        check_gradient(slow_loss, slow_gradient, w, workers=workers)
        seconds[workers] = time.perf_counter() - start
    yield (
        "two workers, loss of 50 ms",
        f"{seconds[1] / seconds[2]:.2f} times faster",
        "at least 1.8",
    )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--plantings", type=int, default=100, help="networks of each size")
    count = parser.parse_args().plantings
    if count < 1:
        parser.error(f"--plantings is {count}: give 1 or more.")
    for rows in (right_gradients(), million(), plantings(count), two_workers(), entry_by_entry()):
        for what, measured, goal in rows:
            print(f"{what:<46}{measured:<32}{goal}", flush=True)
        print()


if __name__ == "__main__":
    main()
