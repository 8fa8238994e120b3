"""What both commands take: seeds, and names of which there are only some."""

import argparse
from collections.abc import Callable, Iterable


def names(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Return what reads a list of names, and refuses unknown ones with those that exist."""
    there = tuple(known)

    def read(text: str) -> tuple[str, ...]:
        for name in text.split(","):
            if name not in there:
                raise argparse.ArgumentTypeError(f"no {name!r}; there are: {', '.join(there)}")
        return tuple(text.split(","))

    return read


def parser(command: str, about: str | None, seeds: int) -> argparse.ArgumentParser:
    """Return a parser that knows seeds and processes."""
    made = argparse.ArgumentParser(
        prog=f"python -m {command}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    made.add_argument("--seeds", type=int, default=seeds, help=f"how many (default {seeds})")
    made.add_argument("--processes", type=int, default=2, help="how many at a time (default 2)")
    return made
