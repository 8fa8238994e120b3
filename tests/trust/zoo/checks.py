"""What the check says of one case of the zoo, and where it falls short."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradcheck import check_gradient

from .layer import Bug, Case, refuse_unknown
from .truth import entry_bounds, gap

METHODS = ("entries", "directions")
WHAT = ("right", "wrong", "planted")
MOST_BY_ENTRIES = 3_000  # parameters, above which entries are not asked for one by one
# Names of findings that say only where; every other is a cause, and true or false.
PLACES = ("unknown", "layer", "row", "column", "slice", "entry", "entries", "only", "block", "part")


class Outcome(NamedTuple):
    """What one check said."""

    case: Case
    method: Any
    what: str  # "right", the name of a bug, or of a plant
    verdict: str  # passed, wrong, unresolved, or raised
    arrays: tuple[str, ...]  # the arrays that hold something wrong
    named: tuple[str, ...]  # the arrays that are called wrong
    calls: int
    blind: tuple[str, ...] = ()  # arrays that are called blind
    falsely_blind: tuple[str, ...] = ()  # of these, where a negated array was caught
    told: str = ""  # of a bug: "cause", "place", "unknown" or "false"
    seen: bool = True  # whether the report says that it would see what was planted
    text: str = ""

    @property
    def limit(self) -> int:
        """The most calls that this check may take."""
        p = self.case.parameters
        if self.method == "entries":
            return 2 * p + 40 if self.case.layer.smooth else 4 * p + 40
        return 2 * p + 1_000 if self.case.layer.smooth else 4 * p + 1_000

    @property
    def falls_short(self) -> str:
        """Say in a few words what is wrong with the verdict, "" where nothing is."""
        if self.what == "right":
            if self.verdict != "passed":
                return f"right, {self.verdict}"
            if self.falsely_blind:
                return f"blind in {', '.join(self.falsely_blind)}, where a wrong sign is caught"
            return "too many calls" if self.calls > self.limit else ""
        if self.verdict == "raised" or (self.verdict == "passed" and self.seen):
            return f"{self.what}: {self.verdict}"
        if set(self.named) - set(self.arrays):
            right = sorted(set(self.named) - set(self.arrays))
            return f"{self.what}: right arrays called wrong: {', '.join(right)}"
        return ""


def run(case: Case, method: Any, what: Iterable[str] = ("right",)) -> list[Outcome]:
    """Check a case: as it is ("right"), with each of its bugs ("wrong"), and with plants."""
    what = tuple(what)
    refuse_unknown("method", [method], METHODS)
    refuse_unknown("kind of check", what, WHAT)
    outcomes = []
    if "right" in what or "planted" in what:
        report, outcome = _check(case, method, case.grad, "right", ())
        if report is not None and outcome.verdict == "passed":
            falsely = [a for a in outcome.blind if _sign_is_seen(case, method, a)]
            outcome = outcome._replace(falsely_blind=tuple(falsely))
        outcomes += [outcome]
        if "planted" in what:
            outcomes += _planted(case, method, report)
    if "wrong" in what:
        outcomes += [_wrong(case, method, bug) for bug in case.layer.bugs]
    return outcomes


def _check(
    case: Case, method: Any, gradient: Any, what: str, arrays: Iterable[str]
) -> tuple[Any, Outcome]:
    arrays = tuple(arrays)
    try:
        report = check_gradient(case.fun, gradient, case.x0, method=method)
    except Exception as raised:
        return None, Outcome(case, method, what, "raised", arrays, (), 0, text=repr(raised))
    verdict = "passed" if report.passed else "wrong" if report.wrong else "unresolved"
    named = dict.fromkeys(array_of(entry.name) for entry in report.wrong)
    blind = tuple(name for name, r in report.resolution.items() if r is None or r >= 1)
    worst = [*report.wrong, *report.unresolved][:1]
    text = "; ".join(
        f"{e.name}: a {e.analytic:.4g}, n {e.numerical:.4g}, bar {e.error:.1g}, {e.reason}"
        for e in worst
    )
    return report, Outcome(
        case, method, what, verdict, arrays, tuple(named), report.nfev, blind, text=text
    )


def array_of(name: str) -> str:
    return name[: name.rindex("[")] if name.endswith("]") else name


def _sign_is_seen(case: Case, method: Any, array: str) -> bool:
    """Whether the array negated is called wrong; where it is 0 by nature, a typical slope added."""
    gradient = _negated(case, array)
    return bool(_check(case, method, gradient, "negated", [array])[1].verdict == "wrong")


def _negated(case: Case, array: str) -> dict[str, Any]:
    gradient = case.grad(case.x0)
    largest = max(float(np.abs(g).max()) for g in gradient.values())
    g = gradient[array]
    if np.abs(g).max() > 1e-5 * largest:
        gradient[array] = -g
    else:
        gradient[array] = (g + 0.1 * largest).astype(g.dtype)
    return gradient


def _planted(case: Case, method: Any, report: Any) -> Iterator[Outcome]:
    """Plant one array negated, its largest entry times 1.5, and what the report says it sees."""
    right = case.grad(case.x0)
    names = [k for k, g in right.items() if np.abs(g).max() > 1e-5 * _largest(right)]
    array = names[case.seed % len(names)]
    resolution = {} if report is None else report.resolution
    known = {k: 1.0 if r is None else float(r) for k, r in resolution.items()}
    blind = known.get(array, 1.0) >= 1 or not report.passed
    what = f"{array} negated"
    outcome = _check(case, method, _negated(case, array), what, [array])[1]
    yield outcome._replace(seen=not blind)
    g = right[array]
    typical = float(np.sqrt(np.mean(np.square(g, dtype=float))))
    place = tuple(map(int, np.unravel_index(int(np.abs(g).argmax()), g.shape)))
    plants = [("largest entry times 1.5", place, 0.5 * float(g[place]))]
    if not blind and known[array] > 0:
        rng = np.random.default_rng(case.seed)
        place = tuple(int(rng.integers(n)) for n in g.shape)
        size = 1.05 * known[array] * typical * rng.choice([-1, 1])
        if case.precision == "float64" or abs(size) > 1e-6 * abs(float(g[place])):
            plants.append(("1.05 times the resolution", place, size))
    for name, place, error in plants:
        wrong = {k: v.copy() for k, v in right.items()}
        wrong[array][place] += error
        between = gap(entry_bounds(case.exact, array, place), float(wrong[array][place]))
        if not case.layer.smooth and between < 0.9 * abs(error):
            continue  # between the two slopes of a kink, where nothing is wrong
        outcome = _check(case, method, wrong, f"{array}: {name}", [array])[1]
        yield outcome._replace(seen=not blind and abs(error) > known[array] * typical)


def _largest(gradient: dict[str, Any]) -> float:
    return max(float(np.abs(g).max()) for g in gradient.values())


def _wrong(case: Case, method: Any, bug: Bug) -> Outcome:
    arrays = bug.wrong.split()
    planted = replace(case, bug=bug.name)
    report, outcome = _check(planted, method, planted.grad, bug.name, arrays)
    if report is None:
        return outcome
    blind = set(arrays) <= set(outcome.blind)
    return outcome._replace(told=told(report.findings, bug), seen=not blind)


def told(findings: Iterable[Any], bug: Bug) -> str:
    """Return whether findings tell the cause or the place of a bug, nothing, or what is false."""
    cause = place = False
    for finding in findings:
        text = " ".join(finding).lower()
        said = any(word.lower() in text for word in bug.says)
        kind = finding.bug.lower()
        only_where = any(word in kind.split() for word in PLACES)
        if any(word.lower() in text for word in bug.never) or not (said or only_where):
            return "false"
        cause |= said and kind != "unknown"
        place |= kind != "unknown"
    return "cause" if cause else "place" if place else "unknown"


Job = tuple[Case, str, tuple[str, ...]]  # what `run` takes


def job(given: Job) -> list[Outcome]:
    with np.errstate(all="ignore"):
        return run(*given)


def run_all(jobs: Iterable[Job], processes: int = 2) -> Iterator[Outcome]:
    """Run jobs in processes of their own; the outcomes come as they are ready."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # as many processes as cores, and no threads besides
    if processes == 1:
        yield from (outcome for given in jobs for outcome in job(given))
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for outcomes in pool.imap_unordered(job, jobs):
            yield from outcomes
