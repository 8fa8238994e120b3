"""Run every case through the checker and count: false alarms, misses, calls, error bars."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gradcheck import check_gradient

from . import error_bars
from .problems import Problem, leaves, linear, network, separable
from .right import Case, right_cases
from .wrong import plants, wrong_cases

EXTRA_CALLS = 40  # what a right gradient of P entries may cost beyond 2 P calls
SIZES = (1, 2, 5, 10, 100, 1000, 5000)


class Row(NamedTuple):
    """One right case over all seeds."""

    kind: str
    name: str
    parameters: str
    accepted: int
    total: int
    verdicts: str
    extra_calls: int
    said: str
    caught: int  # of the plants that can be seen
    planted: int
    smooth: bool


class WrongRow(NamedTuple):
    """One bug over all problems, scales and seeds."""

    bug: str
    caught: int
    total: int
    missed: tuple[str, ...]


class Calls(NamedTuple):
    """What one right gradient of a smooth loss cost."""

    problem: str
    parameters: int
    calls: int
    extra_calls: int
    passed: bool


@dataclass
class Results:
    """The figures of one run."""

    seeds: int
    right: list[Row]
    wrong: list[WrongRow]
    calls: list[Calls]
    bars: dict[str, error_bars.Coverage]
    false_alarms: list[str]
    missed: dict[str, list[str]]  # by precision: plants in right cases that passed
    costly: list[str]  # smooth right cases that cost more than 2 P + EXTRA_CALLS
    untold: dict[str, int]  # plants left out, by reason
    seconds: float

    def figures(self) -> list[tuple[str, str, str, bool]]:
        """Return (what, reached, goal, whether it is reached)."""
        total = sum(row.total for row in self.right)
        wrong = sum(row.total for row in self.wrong)
        caught = sum(row.caught for row in self.wrong)
        planted: Counter[str] = Counter()
        for row in self.right:
            planted["float32" if row.kind == "float32" else "float64"] += row.planted
        most = max([c.extra_calls for c in self.calls], default=0)
        most_right = max(row.extra_calls for row in self.right if row.smooth)
        rows = [
            ("right gradients accepted", f"{total - len(self.false_alarms)} of {total}", "all",
             not self.false_alarms),
            ("wrong gradients caught", f"{caught} of {wrong}", "all", caught == wrong),
            *(
                (f"plants in right cases missed, {dtype}", f"{len(missed)} of {planted[dtype]}",
                 "0", not missed)
                for dtype, missed in self.missed.items()
            ),
            ("calls beyond 2 P, smooth cases", f"{most_right}", f"at most {EXTRA_CALLS}",
             most_right <= EXTRA_CALLS),
            (f"calls beyond 2 P, P from {SIZES[0]} to {SIZES[-1]}", f"{most}",
             f"at most {EXTRA_CALLS}", most <= EXTRA_CALLS and all(c.passed for c in self.calls)),
        ]  # fmt: skip
        for name, c in self.bars.items():
            share = c.covered / c.total
            rows += [
                (f"truth within the bar, {name}", f"{c.covered} of {c.total}", "99.9 %",
                 share >= 0.999),
                (f"bar over true error (median), {name}", f"{c.median_ratio:.0f}", "at most 30",
                 c.median_ratio <= 30),
            ]  # fmt: skip
        return rows

    @property
    def reached(self) -> bool:
        return all(ok for *_, ok in self.figures())


def run(seeds: int = 5, functions: int = 1000, sizes: Sequence[int] = SIZES) -> Results:
    """Run everything: right cases and wrong cases times `seeds`, and the error bars."""
    start = time.perf_counter()
    false_alarms: list[str] = []
    missed: dict[str, list[str]] = {"float64": [], "float32": []}
    untold: Counter[str] = Counter()
    costly: list[str] = []
    by_case: dict[str, list[_Outcome]] = {}
    for seed in range(seeds):
        for case in right_cases(seed):
            outcome = _right(case)
            by_case.setdefault(case.name, []).append(outcome)
            if not outcome.passed:
                false_alarms.append(f"{case.name}, seed {seed}: {outcome.text}")
            if case.smooth and outcome.extra_calls > EXTRA_CALLS:
                costly.append(f"{case.name}, seed {seed}: 2 P + {outcome.extra_calls}")
            if not case.at_minimum:
                _power(case, seed, outcome, missed[case.dtype], untold)
    return Results(
        seeds,
        [_row(outcomes) for outcomes in by_case.values()],
        _wrong(seeds),
        list(count_calls(sizes)),
        error_bars.measure(functions) if functions else {},
        false_alarms,
        missed,
        costly,
        dict(untold),
        time.perf_counter() - start,
    )


@dataclass
class _Outcome:
    case: Case
    passed: bool
    verdicts: Counter[str]
    reasons: Counter[str]
    extra_calls: int
    text: str
    caught: int = 0
    planted: int = 0


def _size(x0: Any) -> int:
    return sum(a.size for a in leaves(x0))


def _right(case: Case) -> _Outcome:
    try:
        report = check_gradient(case.fun, case.grad, case.x0, args=case.args)
    except Exception as raised:
        return _Outcome(case, False, Counter({"raised": 1}), Counter(), 0, repr(raised))
    verdicts = Counter(entry.verdict for entry in report.entries)
    reasons = Counter(entry.reason for entry in report.entries if entry.reason)
    bad = [*report.wrong, *report.unresolved][:2]
    extra = report.nfev - 2 * _size(case.x0)
    return _Outcome(case, bool(report.passed), verdicts, reasons, extra, "; ".join(map(str, bad)))


def _power(
    case: Case, seed: int, outcome: _Outcome, missed: list[str], untold: Counter[str]
) -> None:
    for plant in plants(case, seed):
        if plant.left_out and case.dtype == "float64":
            untold[plant.left_out] += 1
            continue
        text = f"{plant.name}: {case.name}, seed {seed}"
        try:
            report = check_gradient(case.fun, plant.gradient, case.x0, args=case.args)
        except Exception as raised:
            missed.append(f"{text}: {raised!r}")
            continue
        resolution = list(report.resolution.values())
        told = any(resolution[k] < plant.relative_error for k in plant.arrays)
        if case.dtype == "float32" and report.passed and not told:
            untold["smaller than the resolution the report states, float32"] += 1
            continue
        outcome.planted += 1
        if report.passed or not report.wrong:
            missed.append(f"{text}: {'passed' if report.passed else 'unresolved only'}")
        else:
            outcome.caught += 1


def _row(outcomes: list[_Outcome]) -> Row:
    case = outcomes[0].case
    sizes = sorted({_size(o.case.x0) for o in outcomes})
    verdicts = sum((o.verdicts for o in outcomes), Counter())
    reasons = sum((o.reasons for o in outcomes), Counter())
    return Row(
        case.kind,
        case.name,
        f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else str(sizes[0]),
        sum(o.passed for o in outcomes),
        len(outcomes),
        ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common()),
        max(o.extra_calls for o in outcomes),
        ", ".join(reason for reason, _ in reasons.most_common(3)),
        sum(o.caught for o in outcomes),
        sum(o.planted for o in outcomes),
        case.smooth,
    )


def _wrong(seeds: int) -> list[WrongRow]:
    caught: Counter[str] = Counter()
    total: Counter[str] = Counter()
    missed: dict[str, list[str]] = {}
    for seed in range(seeds):
        for case in wrong_cases(seed):
            total[case.bug] += 1
            try:
                report = check_gradient(case.fun, case.grad, case.x0, args=case.args)
                found = not report.passed and bool(report.wrong)
                text = "passed" if report.passed else "unresolved only"
            except Exception as raised:
                found, text = False, repr(raised)
            if found:
                caught[case.bug] += 1
            else:
                missed.setdefault(case.bug, []).append(f"{case.name}, seed {seed}: {text}")
    return [WrongRow(bug, caught[bug], n, tuple(missed.get(bug, ()))) for bug, n in total.items()]


def count_calls(sizes: Iterable[int] = SIZES) -> Iterable[Calls]:
    """Check right gradients of smooth losses of growing size, entry by entry."""
    for size in sizes:
        rng = np.random.default_rng(size)
        problems = {
            "logistic": linear(rng, "logistic", features=max(1, size - 1), rows=15),
            "network": network(rng, hidden=(max(1, size // 6),)),
            "sum of log(1 + w^2)": separable(
                lambda w: np.log1p(w * w), lambda w: 2 * w / (1 + w * w), rng.normal(size=size)
            ),
        }
        for name, p in problems.items():
            yield _calls(name, p)


def _calls(name: str, p: Problem) -> Calls:
    report = check_gradient(p.fun, p.grad, p.x0, args=p.args, method="entries")
    size = _size(p.x0)
    return Calls(name, size, report.nfev, report.nfev - 2 * size, bool(report.passed))


# ---------------------------------------------------------------- printing


def table(results: Results, rows: str = "right") -> str:
    """Return one of the tables as Markdown: "figures", "right", "wrong" or "calls"."""
    if rows == "figures":
        head: list[str] = ["Figure", "Reached", "Goal", ""]
        body: Iterable[Any] = ((*row[:3], "yes" if row[3] else "NO") for row in results.figures())
    elif rows == "right":
        head = ["Kind", "Case", "Parameters", "Accepted", "Verdicts", "Calls beyond 2 P",
                "What the check said", "Plants caught"]  # fmt: skip
        body = (
            (r.kind, r.name, r.parameters, f"{r.accepted} of {r.total}", r.verdicts,
             r.extra_calls, r.said, f"{r.caught} of {r.planted}")
            for r in results.right
        )  # fmt: skip
    elif rows == "wrong":
        head = ["Bug", "Caught"]
        body = ((r.bug, f"{r.caught} of {r.total}") for r in results.wrong)
    elif rows == "calls":
        head = ["Loss", "Parameters", "Calls", "Calls beyond 2 P"]
        body = (r[:4] for r in results.calls)
    else:
        raise ValueError(f'`rows` is {rows!r}; ask for "figures", "right", "wrong" or "calls"')
    cells = [head, *([str(cell) for cell in row] for row in body)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)
