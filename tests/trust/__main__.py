"""``python -m tests.trust``: what the check does, figure by figure, beside what it should do.

Exits with 1 if a goal is not reached. ``--first 100 --seeds 20`` runs seeds that nothing was tuned
on, ``--list`` prints every case that falls short.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence

from .measure import figures, general, hard_jobs, table, zoo_jobs
from .outcomes import METHODS, PRECISIONS, Outcome
from .parallel import run_all
from .zoo import LAYERS


def names(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Return what reads a list of names, and refuses unknown ones with those that exist."""
    there = tuple(known)

    def read(text: str) -> tuple[str, ...]:
        for name in text.split(","):
            if name not in there:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are: {', '.join(there)}")
        return tuple(text.split(","))

    return read


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.trust",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    several = "; several with commas"
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--seeds", type=int, default=9, help="how many seeds (default 9)")
    parser.add_argument("--layer", type=names(LAYERS), default=tuple(LAYERS), help="of the zoo")
    parser.add_argument("--precision", type=names(PRECISIONS), default=PRECISIONS, help=several)
    parser.add_argument("--method", type=names(METHODS), default=METHODS, help=several)
    parser.add_argument("--list", action="store_true", help="print every case that falls short")
    parser.add_argument("--processes", type=int, default=2, help="how many at a time (default 2)")
    given = parser.parse_args(words)
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
