"""Real data with five features."""

import csv
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Swiss(NamedTuple):
    """The Swiss data: features `X`, target `y`, and the names of columns and rows."""

    X: NDArray[Any]
    y: NDArray[Any]
    features: list[str]
    provinces: list[str]


def swiss() -> Swiss:
    """Return the fertility and five features of 47 French-speaking Swiss provinces, about 1888.

    The features are the share of men who work in agriculture, of conscripts with the highest
    mark in the army examination, of conscripts with education beyond primary school, of
    Catholics, and of live births that die in their first year. The target `y` is a standardised
    measure of fertility. All are in percent.

    Returns
    -------
    Swiss
        `X` of shape (47, 5) and `y` of shape (47,), both float64, `features` and `provinces`.

    References
    ----------
    F. Mosteller and J. W. Tukey (1977), *Data Analysis and Regression*, Addison-Wesley.
    R knows the same data as ``datasets::swiss``.

    Examples
    --------
    >>> X, y, features, provinces = swiss()
    >>> X.shape, y.shape, features[1], provinces[0]
    ((47, 5), (47,), 'Examination', 'Courtelary')
    """
    with (files(__package__) / "swiss.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    numbers = np.array([row[1:] for row in rows], dtype=float)
    return Swiss(numbers[:, 1:], numbers[:, 0], header[2:], [row[0] for row in rows])
