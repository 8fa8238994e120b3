"""Regions of the parameters: whole arrays, or of one array some rows and columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

Shapes = Sequence[tuple[int, ...]]
ARRAYS, ROWS, COLUMNS = range(3)  # the axes of a region
PIECE = 1 << 15  # entries that are looked up at a time


def as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the shape of an array as a matrix: a vector is a row, a stack has what it stacks."""
    return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (1, math.prod(shape))


class Region(NamedTuple):
    """Some arrays; if it is a single one, those rows and columns of it."""

    shapes: Shapes
    arrays: range
    rows: range = range(0)
    columns: range = range(0)

    @classmethod
    def of(cls, shapes: Shapes, first: int, last: int) -> Region:
        """Return all of the arrays from `first` to `last`."""
        region = cls(shapes, range(first, last))
        if last - first > 1:
            return region
        rows, columns = as_matrix(shapes[first])
        return region._replace(rows=range(rows), columns=range(columns))

    @property
    def spans(self) -> tuple[range, range, range]:
        """From where to where it reaches along each axis."""
        return self.arrays, self.rows, self.columns

    @property
    def size(self) -> int:
        """How many entries it holds."""
        if len(self.arrays) == 1:
            return len(self.rows) * len(self.columns)
        return sum(math.prod(self.shapes[k]) for k in self.arrays)

    @property
    def whole(self) -> bool:
        """Whether it holds all of its arrays."""
        return self.size == sum(math.prod(self.shapes[k]) for k in self.arrays)

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes along which it can be cut."""
        among = (ARRAYS,) if len(self.arrays) > 1 else (ROWS, COLUMNS)
        return tuple(axis for axis in among if len(self.spans[axis]) > 1)

    def cut(self, axis: int, start: int, stop: int) -> Region:
        """Return the part of it between two places along an axis."""
        span = self.spans[axis][start:stop]
        if axis == ARRAYS:
            return Region.of(self.shapes, span.start, span.stop)
        return self._replace(rows=span) if axis == ROWS else self._replace(columns=span)

    def halves(self, axis: int) -> tuple[Region, Region]:
        """Cut it in two along an axis."""
        length = len(self.spans[axis])
        return self.cut(axis, 0, length // 2), self.cut(axis, length // 2, length)

    def pieces(self, axis: int | None = None) -> Iterator[tuple[int, Any, Any]]:
        """Yield each array, where in it (when flat) some entries lie, and their ramp along an axis.

        The ramp rises from 0.5 to 1.5. It never vanishes: where there is nothing, the ratio is 0.
        """
        ramp = np.linspace(0.5, 1.5, len(self.spans[axis])) if axis is not None else None
        if len(self.arrays) > 1:
            for i, k in enumerate(self.arrays):
                for _, piece, _ in Region.of(self.shapes, k, k + 1).pieces():
                    yield k, piece, 1.0 if ramp is None else ramp[i]
            return
        (k,) = self.arrays
        length = as_matrix(self.shapes[k])[1]
        for first in range(0, len(self.columns), PIECE):
            columns = self.columns[first : first + PIECE]
            lines = PIECE // len(columns)
            for top in range(0, len(self.rows), lines):
                rows = self.rows[top : top + lines]
                start, stop = rows[0] * length + columns[0], rows[-1] * length + columns[-1] + 1
                where: Any = slice(start, stop)
                if stop - start > len(rows) * len(columns):
                    where = np.add.outer(np.array(rows) * length, np.array(columns)).ravel()
                factor: Any = 1.0
                if axis == ROWS and ramp is not None:
                    factor = np.repeat(ramp[top : top + len(rows)], len(columns))
                elif axis == COLUMNS and ramp is not None:
                    factor = np.tile(ramp[first : first + len(columns)], len(rows))
                yield k, where, factor

    def name(self, names: Sequence[str]) -> str:
        """Say where it lies: ``W1, b1``, ``W2, row 3``, ``W2[3, 0:10]``."""
        name = ", ".join(names[k] for k in self.arrays) or "the parameters"
        if len(self.arrays) > 1 or self.whole:
            return name
        shape = self.shapes[self.arrays[0]]
        rows, columns = (_span(span) for span in (self.rows, self.columns))
        if len(shape) < 2:
            return f"{name}[{columns}]"
        if len(shape) > 2:  # the columns are flat
            inner = "" if len(self.columns) == math.prod(shape[1:]) else f", flat [{columns}]"
            return f"{name}[{rows}]{inner}"
        for what, span, other, full in (
            ("row", self.rows, self.columns, shape[1]),
            ("column", self.columns, self.rows, shape[0]),
        ):
            if len(other) == full:
                several = f"s {span[0]} to {span[-1]}"
                return f"{name}, {what}" + (f" {span[0]}" if len(span) == 1 else several)
        return f"{name}[{rows}, {columns}]"


def _span(span: range) -> str:
    return f"{span[0]}" if len(span) == 1 else f"{span.start}:{span.stop}"
