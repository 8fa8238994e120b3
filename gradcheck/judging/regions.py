"""Regions of the parameters: whole arrays, or of one array some rows and columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.measuring.slopes import PIECE

Shapes = Sequence[tuple[int, ...]]
ARRAYS, ROWS, COLUMNS = range(3)  # the axes of a region


class Region(NamedTuple):
    """Some arrays; if it is a single one, those rows and columns of it.

    A vector is a single row; in an array of more dimensions each row is a matrix, laid flat.
    """

    shapes: Shapes
    arrays: range
    rows: range = range(0)
    columns: range = range(0)

    @classmethod
    def of(cls, shapes: Shapes, first: int, last: int) -> Region:
        """Return all of the arrays from `first` to `last`."""
        if last - first > 1:
            return cls(shapes, range(first, last))
        shape = shapes[first] if len(shapes[first]) > 1 else (1, *shapes[first])
        return cls(shapes, range(first, last), range(shape[0]), range(math.prod(shape[1:])))

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
        return self == Region.of(self.shapes, self.arrays.start, self.arrays.stop)

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

        The ramp rises from 0.5 to 1.5. It never vanishes: where nothing is, the ratio is 0.
        """

        def ramp(start: int, stop: int) -> Any:
            last = max(len(self.spans[axis or 0]) - 1, 1)
            return 1.0 if axis is None else 0.5 + np.arange(start, stop) / last

        if len(self.arrays) > 1:
            for i, k in enumerate(self.arrays):
                for piece in Region.of(self.shapes, k, k + 1).pieces():
                    yield *piece[:2], ramp(i, i + 1)
            return
        (k,) = self.arrays
        width = len(Region.of(self.shapes, k, k + 1).columns)
        for left in range(0, len(self.columns), PIECE):
            columns = self.columns[left : left + PIECE]
            height = PIECE // len(columns)
            for top in range(0, len(self.rows), height):
                rows = self.rows[top : top + height]
                where: Any = slice(rows[0] * width + columns[0], rows[-1] * width + columns[-1] + 1)
                if len(rows) > 1 and len(columns) < width:
                    where = np.add.outer(np.array(rows) * width, np.array(columns)).ravel()
                if axis == ROWS:
                    yield k, where, np.repeat(ramp(top, top + len(rows)), len(columns))
                elif axis == COLUMNS:
                    yield k, where, np.tile(ramp(left, left + len(columns)), len(rows))
                else:
                    yield k, where, 1.0

    def name(self, names: Sequence[str]) -> str:
        """Say where it lies: ``W1, b1``, ``W2, row 3``, ``W2[3, 0:10]``."""
        name = ", ".join(names[k] for k in self.arrays) or "the parameters"
        if self.whole:
            return name
        whole = Region.of(self.shapes, self.arrays.start, self.arrays.stop)
        rows, columns = (
            f"{span.start}" if len(span) == 1 else f"{span.start}:{span.stop}"
            for span in (self.rows, self.columns)
        )
        dimensions = len(self.shapes[self.arrays.start])
        if dimensions < 2:
            return f"{name}[{columns}]"
        if dimensions == 2 and self.columns == whole.columns:
            return f"{name}, row{'s' * (len(self.rows) > 1)} {rows}"
        if dimensions == 2 and self.rows == whole.rows:
            return f"{name}, column{'s' * (len(self.columns) > 1)} {columns}"
        if dimensions == 2:
            return f"{name}[{rows}, {columns}]"
        inner = "" if self.columns == whole.columns else f", flat [{columns}]"
        return f"{name}[{rows}]{inner}"
