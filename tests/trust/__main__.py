"""``python -m tests.trust``: print the figures; exit status 1 if one is not reached."""

import argparse
import sys

from .suite import run, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trust", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds for every case (default 5)")
    parser.add_argument("--quick", action="store_true", help="one seed, fewer functions, P to 1000")
    given = parser.parse_args()
    results = run(1, functions=200, sizes=(1, 10, 1000)) if given.quick else run(given.seeds)
    for rows in ("right", "wrong", "calls", "figures"):
        print(table(results, rows), end="\n\n")
    for name, lines in {
        "False alarms": results.false_alarms,
        "Wrong gradients missed": [text for row in results.wrong for text in row.missed],
        "Smooth cases above the limit of calls": results.costly,
        **{f"Plants missed, {dtype}": lines for dtype, lines in results.missed.items()},
    }.items():
        if lines:
            print(name, *lines, sep="\n- ", end="\n\n")
    for reason, count in results.untold.items():
        print(f"{count} plants left out: {reason}.")
    print(f"{results.seeds} seeds, {results.seconds:.0f} seconds.")
    return 0 if results.reached else 1


if __name__ == "__main__":
    sys.exit(main())
