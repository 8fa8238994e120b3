"""Check a case of the zoo: as it is, with its bugs, and with what is planted in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tests.trust.outcomes import METHODS, Method, Outcome, Subject, blind, check

from .layer import Bug, Case, refuse_unknown
from .truth import entry_bounds, gap

WHAT = ("right", "wrong", "planted")
MOST_BY_ENTRIES = 3_000  # parameters, above which entries are not asked for one by one
# Names of findings that say only where; every other is a cause, and true or false.
PLACES = ("unknown", "layer", "row", "column", "slice", "entry", "entries", "only", "block", "part")


def run(case: Case, method: Method, what: Iterable[str] = ("right",)) -> list[Outcome]:
    """Check a case: as it is ("right"), with its bugs ("wrong"), and with plants ("planted").

    Above a hundred parameters, one bug stands for the three; by entries, one plant, too.
    """
    what = tuple(what)
    refuse_unknown("method", [method], METHODS)
    refuse_unknown("kind of check", what, WHAT)
    few = case.size == "small"
    outcomes = []
    if "right" in what or "planted" in what:
        report, outcome = _check(case, method, case.grad)
        if outcome.verdict == "passed":
            falsely = [a for a in outcome.blind if _sign_is_seen(case, method, a)]
            outcome = outcome._replace(falsely_blind=tuple(falsely))
        outcomes += [outcome]
        if "planted" in what and report is not None:
            plants = list(_plants(case, report))
            if not few and method == "entries":
                plants = [plants[case.seed % len(plants)]]
            outcomes += [_planted(case, method, *plant) for plant in plants]
    if "wrong" in what:
        bugs = case.layer.bugs if few else [case.layer.bugs[case.seed % 3]]
        outcomes += [_wrong(case, method, bug) for bug in bugs]
    return outcomes


def _check(case: Case, method: Method, gradient: Any, **options: Any) -> tuple[Any, Outcome]:
    subject = Subject(
        case.name, case.layer.name, case.precision, case.parameters, case.layer.smooth, case.seed
    )
    return check(subject, method, case.fun, gradient, case.x0, case.args, **options)


def _sign_is_seen(case: Case, method: Method, array: str) -> bool:
    """Whether the array negated is called wrong; where it is 0 by nature, a typical slope added."""
    return _check(case, method, _negated(case, array))[1].caught


def _negated(case: Case, array: str) -> dict[str, Any]:
    gradient = case.grad(case.x0)
    largest = max(float(np.abs(g).max()) for g in gradient.values())
    g = gradient[array]
    if np.abs(g).max() > 1e-5 * largest:
        gradient[array] = -g
    else:
        gradient[array] = (g + 0.1 * largest).astype(g.dtype)
    return gradient


def _plants(case: Case, report: Any) -> Iterator[tuple[str, str, Any, bool]]:
    """Plant one array negated, its largest entry times 1.5, and what the report says it sees.

    Yield array, name, the gradient, and whether the report says that it would see it.
    """
    right = case.grad(case.x0)
    largest = max(float(np.abs(g).max()) for g in right.values())
    names = [k for k, g in right.items() if np.abs(g).max() > 1e-5 * largest]
    array = names[case.seed % len(names)]
    resolution = report.resolution[array]
    resolution = np.inf if resolution is None else resolution
    seen = bool(resolution < 1 and report.passed)
    told_blind = array in blind(report) or not report.passed
    yield array, "negated", _negated(case, array), not told_blind
    g = right[array]
    typical = float(np.sqrt(np.mean(np.square(g, dtype=float))))
    place = tuple(map(int, np.unravel_index(int(np.abs(g).argmax()), g.shape)))
    plants = [("largest entry times 1.5", place, 0.5 * float(g[place]))]
    if seen and resolution > 0:
        rng = np.random.default_rng(case.seed)
        place = tuple(int(rng.integers(n)) for n in g.shape)
        error = 1.05 * resolution * typical * rng.choice([-1, 1])
        if abs(error) > 10 * np.finfo(g.dtype).eps * abs(float(g[place])):
            plants.append((RESOLUTION, place, error))
    for name, place, error in plants:
        wrong = {k: v.copy() for k, v in right.items()}
        wrong[array][place] += error
        if not case.layer.smooth:
            outside = gap(entry_bounds(case.exact, array, place), float(wrong[array][place]))
            if outside < 0.9 * abs(error):
                continue  # between the two slopes of a kink, where nothing is wrong
        yield array, name, wrong, seen and abs(error) > resolution * typical


RESOLUTION = "1.05 times the resolution"


def _planted(
    case: Case, method: Method, array: str, name: str, gradient: Any, seen: bool
) -> Outcome:
    outcome = _check(case, method, gradient, what="planted", planted=name, arrays=[array])[1]
    return outcome._replace(seen=seen)


def _wrong(case: Case, method: Method, bug: Bug) -> Outcome:
    arrays = bug.wrong.split()
    planted = replace(case, bug=bug.name)
    report, outcome = _check(
        planted, method, planted.grad, what="wrong", planted=bug.name, arrays=arrays
    )
    if report is None:
        return outcome
    seen = not set(arrays) <= set(outcome.blind)
    return outcome._replace(seen=seen, told=told(report.findings, bug) if outcome.caught else "")


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
