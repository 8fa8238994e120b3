"""Hold the check against the zoo: a line for each case that falls short, then figures.

python -m tests.trust.zoo --layers relu,max_pool --precision float32 --method directions
python -m tests.trust.zoo --sizes small,medium --seeds 1 --what right,wrong,planted
"""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from itertools import product

from .checks import METHODS, MOST_BY_ENTRIES, WHAT, Job, Outcome, run_all
from .layer import KINDS, LAYERS, PRECISIONS, SIZES, cases, refuse_unknown


def figures(outcomes: Sequence[Outcome]) -> str:
    """Return one line of figures for each precision and method."""
    head = (
        f"{'precision':9} {'method':10}  {'passed':>12} {'wrong':>6} {'unresolved':>10} "
        f"{'raised':>6} {'blind, and is not':>18} {'calls / 2P':>10}   {'bugs caught':>12} "
        f"{'plants caught':>14}"
    )
    lines = [head]
    for precision, method in product(PRECISIONS, METHODS):
        own = [o for o in outcomes if (o.case.precision, o.method) == (precision, method)]
        right = [o for o in own if o.what == "right"]
        if not own:
            continue
        count = {v: sum(o.verdict == v for o in right) for v in ("wrong", "unresolved", "raised")}
        passed = f"{sum(o.verdict == 'passed' for o in right)} of {len(right)}"
        blind = sum(len(o.blind) for o in right if o.verdict == "passed")
        falsely = f"{sum(len(o.falsely_blind) for o in right)} of {blind}"
        # a direction costs 25 calls, however few the parameters are
        ratios = [o.calls / (2 * o.case.parameters + 40) for o in right]
        bugs = [o for o in own if o.what in {b.name for b in LAYERS[o.case.layer.name].bugs}]
        plants = [o for o in own if o.what != "right" and o not in bugs and o.seen]
        caught, found = ([o.verdict == "wrong" for o in group] for group in (bugs, plants))
        lines.append(
            f"{precision:9} {method:10}  {passed:>12} {count['wrong']:6} {count['unresolved']:10}"
            f" {count['raised']:6} {falsely:>18} {max(ratios, default=0):10.2f}"
            f"   {sum(caught):5} of {len(caught):3} {sum(found):7} of {len(found):3}"
        )
    return "\n".join(lines)


def names(known: Iterable[str]) -> dict[str, object]:
    """Return the options of an argument that takes a list of names."""
    return {
        "type": lambda text: tuple(text.split(",")),
        "default": tuple(known),
        "metavar": "A,B",
    }


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.trust.zoo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=2, help="how many seeds (default 2)")
    parser.add_argument("--layers", **names(LAYERS), help="by default all")  # type: ignore[arg-type]
    parser.add_argument("--precision", **names(PRECISIONS), help=", ".join(PRECISIONS))  # type: ignore[arg-type]
    parser.add_argument("--method", **names(METHODS), help=", ".join(METHODS))  # type: ignore[arg-type]
    parser.add_argument("--kinds", **names(KINDS), help=", ".join(KINDS))  # type: ignore[arg-type]
    parser.add_argument("--sizes", **names(SIZES), help=", ".join(SIZES))  # type: ignore[arg-type]
    parser.add_argument("--what", **names(["right"]), help=", ".join(WHAT))  # type: ignore[arg-type]
    parser.add_argument("--processes", type=int, default=2, help="how many at a time (default 2)")
    given = parser.parse_args(words)
    start = time.perf_counter()
    seeds = range(given.first, given.first + given.seeds)
    try:
        refuse_unknown("method", given.method, METHODS)
        refuse_unknown("kind of check", given.what, WHAT)
        chosen = list(cases(given.layers, given.precision, given.kinds, given.sizes, seeds))
    except ValueError as error:
        parser.error(str(error))
    jobs: list[Job] = [
        (case, method, given.what)
        for case in chosen
        for method in given.method
        if method == "directions" or case.parameters <= MOST_BY_ENTRIES
    ]
    outcomes = []
    for outcome in run_all(jobs, given.processes):
        outcomes.append(outcome)
        if outcome.falls_short:
            case = outcome.case
            print(
                f"{case.name} (P = {case.parameters:,}), {outcome.method}: {outcome.falls_short}; "
                f"{outcome.calls:,} calls. {outcome.text}",
                flush=True,
            )
    print(figures(outcomes))
    short = sum(bool(o.falls_short) for o in outcomes)
    print(f"{short} of {len(outcomes)} fall short; {time.perf_counter() - start:.0f} seconds.")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
