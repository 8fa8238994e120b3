"""Regions of the parameters: whole arrays, or a run of the entries of one array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Shapes = Sequence[tuple[int, ...]]


class Region(NamedTuple):
    """The arrays from `first` to `last`; of a single one a run, by rows ("C") or columns ("F")."""

    shapes: Shapes
    first: int
    last: int
    start: int
    stop: int
    order: str = "C"

    @classmethod
    def of(cls, shapes: Shapes, first: int, last: int) -> Region:
        """Return all of some arrays."""
        return cls(shapes, first, last, 0, sum(map(math.prod, shapes[first:last])))

    @property
    def single(self) -> bool:
        """Whether it lies in a single array."""
        return self.last - self.first == 1

    @property
    def size(self) -> int:
        """How many entries it holds."""
        return self.stop - self.start

    @property
    def whole(self) -> bool:
        """Whether it holds all of its arrays."""
        return self.size == sum(map(math.prod, self.shapes[self.first : self.last]))

    @property
    def where(self) -> Any:
        """Where in its array it lies, as an index of the flat array."""
        if self.order == "C":
            return slice(self.start, self.stop)
        shape = self.shapes[self.first]
        by_columns = np.arange(math.prod(shape)).reshape(shape).ravel(order="F")
        return by_columns[self.start : self.stop].copy()  # not a view that keeps the whole

    def halves(self) -> tuple[Region, Region]:
        """Cut it in two, between arrays as long as there are several."""
        if not self.single:
            middle = (self.first + self.last) // 2
            return Region.of(self.shapes, self.first, middle), Region.of(
                self.shapes, middle, self.last
            )
        middle = (self.start + self.stop) // 2
        return self._replace(stop=middle), self._replace(start=middle)

    def _lines(self) -> tuple[int, int, int]:
        """Return the length of a row, or of a column, and the first and last that it touches."""
        shape = self.shapes[self.first]
        line = shape[0] if self.order == "F" else shape[-1]
        return line, self.start // line, (self.stop - 1) // line

    def name(self, names: Sequence[str]) -> str:
        """Say where it lies: ``W1, b1``, ``W2, row 3``, ``W2[3, 0:10]``."""
        name = ", ".join(names[self.first : self.last]) or "the parameters"
        if not self.single or self.whole:
            return name
        if len(self.shapes[self.first]) != 2:
            return f"{name}, flat [{self.start}:{self.stop}]"
        by_rows, (line, first, last) = self.order == "C", self._lines()
        if first == last and self.size < line:
            run = f"{self.start % line}:{(self.stop - 1) % line + 1}"
            return f"{name}[{first}, {run}]" if by_rows else f"{name}[{run}, {first}]"
        lines = "row" if by_rows else "column"
        if first == last:
            return f"{name}, {lines} {first}"
        if self.start % line == 0 == self.stop % line:
            return f"{name}, {lines}s {first} to {last}"
        turn = 1 if by_rows else -1
        start, end = ([*divmod(i, line)][::turn] for i in (self.start, self.stop - 1))
        return f"{name}, from {start} to {end}"
