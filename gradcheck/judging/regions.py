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

    def pieces(self) -> Iterator[tuple[int, Any]]:
        """Yield each array and where in it, when flat, `PIECE` entries or fewer lie."""
        for k in self.arrays:
            part = self if len(self.arrays) == 1 else Region.of(self.shapes, k, k + 1)
            width = len(Region.of(self.shapes, k, k + 1).columns)
            for left in range(0, len(part.columns), PIECE):
                columns = part.columns[left : left + PIECE]
                height = PIECE // len(columns)
                for top in range(0, len(part.rows), height):
                    rows = part.rows[top : top + height]
                    if len(rows) == 1 or len(columns) == width:
                        first, last = rows[0] * width + columns[0], rows[-1] * width + columns[-1]
                        yield k, slice(first, last + 1)
                    else:
                        yield k, np.add.outer(np.array(rows) * width, np.array(columns)).ravel()

    def ramp(self, axis: int, k: int, where: Any) -> Any:
        """Return what rises along an axis from 0.5 to 1.5, at a piece: where nothing is, it is 0.

        So a ratio of 0 is that of no place.
        """
        width = len(Region.of(self.shapes, k, k + 1).columns)
        index = np.arange(where.start, where.stop) if isinstance(where, slice) else where
        place, span = (k, index // width, index % width)[axis], self.spans[axis]
        return 0.5 + (place - span.start) / max(len(span) - 1, 1)

    def name(self, names: Sequence[str]) -> str:
        """Say where it lies: ``W1, b1``, ``W2[3, :]``, ``W2[3, 0:10]``, ``K[:, flat 3:7]``."""
        name = ", ".join(names[k] for k in self.arrays) or "the parameters"
        whole = Region.of(self.shapes, self.arrays.start, self.arrays.stop)
        if self == whole:
            return name
        rows, columns = (
            ":" if span == full else f"{span.start}:{span.stop}" if len(span) > 1 else f"{span[0]}"
            for span, full in ((self.rows, whole.rows), (self.columns, whole.columns))
        )
        dimensions = len(self.shapes[self.arrays.start])
        if dimensions < 2:
            return f"{name}[{columns}]"
        flat = "flat " if dimensions > 2 and columns != ":" else ""
        return f"{name}[{rows}, {flat}{columns}]"
