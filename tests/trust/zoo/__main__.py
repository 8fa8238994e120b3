"""Hold the check against the zoo: a line for each case that falls short, then figures.

python -m tests.trust.zoo --layers relu,max_pool --precision float32 --method directions
python -m tests.trust.zoo --sizes small,medium --seeds 1 --what right,wrong,planted
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import product

from tests.trust.options import names, parser
from tests.trust.outcomes import METHODS, PRECISIONS, Outcome
from tests.trust.parallel import Job, run_all

from .checks import MOST_BY_ENTRIES, WHAT, run
from .layer import KINDS, LAYERS, SIZES, cases


def figures(outcomes: Sequence[Outcome]) -> str:
    """Return one line of figures for each precision and method."""
    head = (
        f"{'precision':9} {'method':10}  {'passed':>12} {'wrong':>6} {'unresolved':>10} "
        f"{'raised':>6} {'blind, and is not':>18} {'calls / (2P + 40)':>17}   {'bugs caught':>12} "
        f"{'plants caught':>14}"
    )
    lines = [head]
    for precision, method in product(PRECISIONS, METHODS):
        own = [o for o in outcomes if (o.subject.precision, o.method) == (precision, method)]
        right, bugs, plants = ([o for o in own if o.what == what] for what in WHAT)
        if not own:
            continue
        count = Counter(o.verdict for o in right)
        blind = sum(len(o.blind) for o in right if o.verdict == "passed")
        falsely = f"{sum(len(o.falsely_blind) for o in right)} of {blind}"
        most = max((o.calls / (2 * o.subject.parameters + 40) for o in right), default=0.0)
        plants = [o for o in plants if o.seen]
        lines.append(
            f"{precision:9} {method:10}  {count['passed']:5} of {len(right):3} {count['wrong']:6} "
            f"{count['unresolved']:10} {count['raised']:6} {falsely:>18} {most:17.2f}   "
            f"{sum(o.caught for o in bugs):5} of {len(bugs):3} "
            f"{sum(o.caught for o in plants):7} of {len(plants):3}"
        )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    command = parser("tests.trust.zoo", __doc__, seeds=2)
    for option, known in (
        ("--layers", LAYERS),
        ("--precision", PRECISIONS),
        ("--method", METHODS),
        ("--kinds", KINDS),
        ("--sizes", SIZES),
        ("--what", WHAT),
    ):
        default = tuple(known) if option != "--what" else ("right",)
        there = ", ".join(known) if len(known) < 10 else "by default all"
        command.add_argument(option, type=names(known), default=default, help=there)
    given = command.parse_args(words)
    start = time.perf_counter()
    seeds = range(given.first, given.first + given.seeds)
    chosen = list(cases(given.layers, given.precision, given.kinds, given.sizes, seeds))
    jobs: list[Job] = [
        (run, (case, method, given.what))
        for case in chosen
        for method in given.method
        if method == "directions" or case.parameters <= MOST_BY_ENTRIES
    ]
    outcomes = []
    for outcome in run_all(jobs, given.processes):
        outcomes.append(outcome)
        if outcome.falls_short:
            print(outcome, flush=True)
    print(figures(outcomes))
    short = sum(bool(o.falls_short) for o in outcomes)
    print(f"{short} of {len(outcomes)} fall short; {time.perf_counter() - start:.0f} seconds.")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
