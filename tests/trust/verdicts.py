"""Every verdict of the suite in one file, to hold one version of the package against the next.

python -m tests.trust.verdicts old.json             write them (some minutes)
python -m tests.trust.verdicts new.json old.json    write them, and print what differs

For another version, set PYTHONPATH to a checkout of it; the suite stays this one.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck import check_gradient
from gradcheck.learning.faults import CATALOGUE

from . import confusion
from .outcomes import METHODS, Method, Outcome, blind
from .parallel import run_all
from .right import right_cases
from .wrong import plants, wrong_cases
from .zoo import cases
from .zoo.checks import run

Verdict = tuple[str, list[Any]]  # what was checked; verdict, details, calls


def said(fun: Any, grad: Any, x0: Any, args: Any, method: Method) -> list[Any]:
    try:
        report = check_gradient(fun, grad, x0, args=args, method=method)
    except Exception as raised:
        return ["raised", repr(raised), 0]
    verdict = "passed" if report.passed else "wrong" if report.wrong else "unresolved"
    counts = Counter(entry.verdict for entry in report.entries)
    parts = [*(f"{n} {v}" for v, n in counts.items()), *(f"blind in {a}" for a in blind(report))]
    return [verdict, ", ".join(parts), report.nfev]


def verdicts(seeds: int) -> Iterator[Verdict]:
    """Yield every verdict: hard right cases, plants in them, bugs, the zoo, the catalogue."""
    for seed in range(seeds):
        for method in METHODS:
            for case in right_cases(seed):
                place = f"{method}: {case.name}, {seed}"
                yield place, said(case.fun, case.grad, case.x0, case.args, method)
                for plant in plants(case, seed) if not case.at_minimum else ():
                    wrong = said(case.fun, plant.gradient, case.x0, case.args, method)
                    yield f"{place}: {plant.name}", wrong
            for bug in wrong_cases(seed):
                yield (
                    f"{method}: {bug.name}, {seed}",
                    said(bug.fun, bug.grad, bug.x0, bug.args, method),
                )
            for fault in CATALOGUE:
                for planted in confusion.plants(fault, seed, method):
                    answer = planted.check(method)
                    place = f"{method}: {fault.name}, {planted.setting}, {seed}"
                    yield place, [answer.first, ", ".join(answer.false), 0]
    zoo = [
        (run, (case, method, ("right", "wrong")))
        for case in cases(sizes=("small", "medium"), seeds=range(seeds))
        for method in METHODS
        if method == "directions" or case.size == "small"
    ]
    o: Outcome
    for o in run_all(zoo):
        details = ", ".join([*o.named, *(f"blind in {a}" for a in o.blind)])
        yield f"{o.method}: {o.subject.name}: {o.planted}", [o.verdict, details, o.calls]


def differences(new: dict[str, list[Any]], old: dict[str, list[Any]]) -> Iterator[str]:
    """Yield a line for each verdict or detail that differs, and for calls that rise by a tenth."""
    for name in sorted(new.keys() | old.keys()):
        before, after = old.get(name), new.get(name)
        if before is None or after is None:
            yield f"{name}: only in the {'new' if before is None else 'old'} one"
        elif before[:2] != after[:2]:
            yield f"{name}: {before} -> {after}"
        elif after[2] > 1.1 * before[2] + 10:
            yield f"{name}: {before[2]:,} -> {after[2]:,} calls"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.trust.verdicts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("new", type=Path, help="where to write the verdicts (JSON)")
    parser.add_argument("old", type=Path, nargs="?", help="what to hold them against")
    parser.add_argument("--seeds", type=int, default=1, help="seeds for every case (default 1)")
    given = parser.parse_args()
    with np.errstate(all="ignore"):
        new = dict(verdicts(given.seeds))
    given.new.write_text(json.dumps(new, indent=0))
    if given.old is None:
        return 0
    found = list(differences(new, json.loads(given.old.read_text())))
    print(*found, f"{len(found)} of {len(new)} differ.", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
