"""The whole measure: what is run, and the figures it comes to, for each precision and method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from statistics import median
from typing import NamedTuple

import numpy as np

from gradcheck import check_gradient

from . import error_bars, hard
from .outcomes import METHODS, PRECISIONS, Method, Outcome
from .parallel import Job
from .problems import leaves, linear, network, separable
from .zoo import KINDS, LAYERS, SIZES, Case, refuse_unknown
from .zoo.checks import MOST_BY_ENTRIES, RESOLUTION, WHAT, run


def zoo_jobs(
    seeds: Iterable[int],
    layers: Sequence[str] = tuple(LAYERS),
    precisions: Sequence[str] = PRECISIONS,
    methods: Sequence[Method] = METHODS,
    sizes: Sequence[str] = tuple(SIZES),
) -> Iterator[Job]:
    """Yield the checks of the zoo: for each seed one kind and size of each layer and precision.

    Nine seeds show every layer in every precision with every kind of input in every size.
    """
    refuse_unknown("layer", layers, LAYERS)
    refuse_unknown("precision", precisions, PRECISIONS)
    refuse_unknown("method", methods, METHODS)
    refuse_unknown("size", sizes, SIZES)
    combinations = list(product(KINDS, sizes))
    for seed in seeds:
        for (i, layer), (j, precision) in product(enumerate(layers), enumerate(precisions)):
            kind, size = combinations[(seed + 2 * i + 3 * j) % len(combinations)]
            case = Case(LAYERS[layer], precision, kind, size, seed)
            for method in methods:
                if method == "directions" or case.parameters <= MOST_BY_ENTRIES:
                    yield run, (case, method, WHAT)


def hard_jobs(seeds: Iterable[int], methods: Sequence[Method] = METHODS) -> Iterator[Job]:
    """Yield the checks of the hard cases, the wrong ones and the unclear ones."""
    checks = (hard.run_right, hard.run_wrong, hard.run_unclear)
    yield from ((check, (seed, m)) for seed, m, check in product(seeds, methods, checks))


class Figure(NamedTuple):
    """One number of the measure, in percent where it is a share."""

    name: str
    value: float
    shown: str  # with what it counts
    goal: float
    at_least: bool = False  # otherwise: at most
    unit: str = " %"

    @property
    def reached(self) -> bool:
        return self.holds(self.goal)

    def holds(self, level: float) -> bool:
        return self.value >= level if self.at_least else self.value <= level


Pair = tuple[str, Method]  # precision and method
UNRESOLVED = {"float64": 0.0, "float32": 2.0, "mixed": 5.0}  # percent of the right ones, at most


def figures(outcomes: Iterable[Outcome]) -> dict[Pair, list[Figure]]:
    """Return the figures for each precision and method that was run."""
    groups: dict[Pair, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.subject.precision, outcome.method), []).append(outcome)
    order = [pair for pair in product(PRECISIONS, METHODS) if pair in groups]
    return {pair: list(_figures(*pair, groups[pair])) for pair in order}


def _figures(precision: str, method: Method, outcomes: Sequence[Outcome]) -> Iterator[Figure]:
    right, wrong, planted, unclear = (
        [o for o in outcomes if o.what == what] for what in ("right", "wrong", "planted", "unclear")
    )
    kept = [o for o in planted if o.planted == RESOLUTION]
    planted = [o for o in planted if o.planted != RESOLUTION]
    bad = [*wrong, *planted]
    allowed = UNRESOLVED[precision]
    yield _share("right: passed", right, lambda o: o.verdict == "passed", 100 - allowed, True)
    yield _share("right: called wrong, or refused", right, lambda o: o.verdict in REFUSED, 0)
    yield _share("right: unresolved", right, lambda o: o.verdict == "unresolved", allowed)
    yield _share("right: blind, where a wrong sign is caught", right, lambda o: o.falsely_blind, 0)
    yield _share("right: more calls than the limit", right, lambda o: o.calls > o.limit, 0)
    yield _calls(method, right)
    yield _share("wrong: caught", wrong, lambda o: o.caught, 100 - allowed, True)
    visible = [o for o in planted if o.seen]
    yield _share("planted: caught, where it can be seen", visible, lambda o: o.caught, 100, True)
    yield _share("wrong or planted: passed without a word", bad, lambda o: o.missed, 0)
    yield _share("wrong or planted: a right array named", bad, _names_a_right_one, 0)
    yield _share("1.05 times the resolution: caught", kept, lambda o: o.caught, 99, True)
    if unclear:
        yield _share("nothing can be known: said", unclear, lambda o: not o.falls_short, 100, True)
    told = [o for o in wrong if o.told]
    yield _share("findings: a cause that is false", told, lambda o: o.told == "false", 0)
    yield _share("findings: the cause", told, lambda o: o.told == "cause", 45, True)
    where = ("cause", "place")
    yield _share("findings: the cause or the place", told, lambda o: o.told in where, 90, True)
    yield _share("findings: unknown", told, lambda o: o.told == "unknown", 8)


REFUSED = ("wrong", "raised")


def _names_a_right_one(outcome: Outcome) -> bool:
    return bool(set(outcome.named) - set(outcome.arrays))


def _share(
    name: str,
    outcomes: Sequence[Outcome],
    fits: Callable[[Outcome], object],
    goal: float,
    at_least: bool = False,
) -> Figure:
    count = sum(bool(fits(o)) for o in outcomes)
    percent = 100 * count / len(outcomes) if outcomes else (100.0 if at_least else 0.0)
    return Figure(name, percent, f"{count:,} of {len(outcomes):,}", goal, at_least)


def _calls(method: Method, right: Sequence[Outcome]) -> Figure:
    """Return what a right gradient of a smooth loss costs: beyond 2 P by entries, else in all."""
    smooth = [o for o in right if o.subject.smooth and o.verdict == "passed"]
    if method == "entries":
        most = max((o.calls - 2 * o.subject.parameters for o in smooth), default=0)
        return Figure("smooth: calls beyond 2 P, at most", most, "", 40, unit="")
    typical = median([o.calls for o in smooth] or [0])
    return Figure("smooth: calls along directions, median", typical, "", 24, unit="")


SIZES_OF_CALLS = (1, 2, 5, 10, 100, 1000, 5000)


def general(functions: int = 1000, sizes: Sequence[int] = SIZES_OF_CALLS) -> Iterator[Figure]:
    """Yield what depends on no method: the error bars of slopes, and calls by size."""
    for name, c in error_bars.measure(functions).items():
        covered = f"{c.covered:,} of {c.total:,}"
        yield Figure(f"{name}: within its bar", 100 * c.covered / c.total, covered, 99.9, True)
        ratio = f"{name}: bar over true error, median"
        yield Figure(ratio, c.median_ratio, "", 30, unit="")
    name = f"smooth, P from {sizes[0]} to {sizes[-1]:,}: calls beyond 2 P, at most"
    yield Figure(name, max(calls_beyond(sizes)), "", 40, unit="")


def calls_beyond(sizes: Iterable[int]) -> Iterator[int]:
    """Check right gradients of smooth losses of growing size by entries; yield calls beyond 2 P."""
    for size in sizes:
        rng = np.random.default_rng(size)
        for p in (
            linear(rng, "logistic", features=max(1, size - 1), rows=15),
            network(rng, hidden=(max(1, size // 6),)),
            separable(
                lambda w: np.log1p(w * w), lambda w: 2 * w / (1 + w * w), rng.normal(size=size)
            ),
        ):
            report = check_gradient(p.fun, p.grad, p.x0, args=p.args, method="entries")
            assert report.passed, str(report)
            yield report.nfev - 2 * sum(a.size for a in leaves(p.x0))


def table(rows: Sequence[Figure]) -> str:
    """Return figures as a Markdown table, today's beside the goals."""
    lines = ["| Figure | Count | Today | Goal | Missed |", "|---|---|---|---|---|"]
    for row in rows:
        today = f"{row.value:,.{1 if row.unit else 0}f}{row.unit}"
        goal = f"at {'least' if row.at_least else 'most'} {row.goal:g}{row.unit}"
        missed = "" if row.reached else "NO"
        lines.append(f"| {row.name} | {row.shown} | {today} | {goal} | {missed} |")
    return "\n".join(lines)
