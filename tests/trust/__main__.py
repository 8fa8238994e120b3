"""``python -m tests.trust``: what the check does, figure by figure, beside what it should do.

Exits with 1 if a goal is not reached. ``--first 100 --seeds 20`` runs seeds that nothing was tuned
on, ``--list`` prints every case that falls short.
"""

import sys
import time
from collections.abc import Sequence

from .measure import figures, general, hard_jobs, table, zoo_jobs
from .options import names, parser
from .outcomes import METHODS, PRECISIONS, Outcome
from .parallel import run_all
from .zoo import LAYERS


def main(words: Sequence[str] | None = None) -> int:
    command = parser("tests.trust", __doc__, seeds=9)
    several = "; several with commas"
    command.add_argument("--layer", type=names(LAYERS), default=tuple(LAYERS), help="of the zoo")
    command.add_argument("--precision", type=names(PRECISIONS), default=PRECISIONS, help=several)
    command.add_argument("--method", type=names(METHODS), default=METHODS, help=several)
    command.add_argument("--list", action="store_true", help="print every case that falls short")
    given = command.parse_args(words)
    start = time.perf_counter()
    seeds = range(given.first, given.first + given.seeds)
    todo = [
        *zoo_jobs(seeds, given.layer, given.precision, given.method),
        *(hard_jobs(seeds, given.method) if given.layer == tuple(LAYERS) else ()),
    ]
    outcomes: list[Outcome] = []
    for outcome in run_all(todo, given.processes):
        outcomes.append(outcome)
        if given.list and outcome.falls_short:
            print(outcome, flush=True)
    found = figures(outcomes)
    missed = 0
    for (precision, method), rows in found.items():
        print(f"\n{precision}, {method}\n\n{table(rows)}")
        missed += sum(not row.reached for row in rows)
    others = list(general())
    print(f"\nerror bars, and calls by size\n\n{table(others)}")
    missed += sum(not row.reached for row in others)
    counts = {what: sum(o.what == what for o in outcomes) for what in ("right", "wrong", "planted")}
    print("\n" + ", ".join(f"{count:,} {what}" for what, count in counts.items()), end="; ")
    print(f"seeds {seeds[0]} to {seeds[-1]}, {time.perf_counter() - start:.0f} seconds.")
    print(f"{missed} goals are not reached." if missed else "Every goal is reached.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
