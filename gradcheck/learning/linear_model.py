"""One neuron with linear output: a prediction, a loss and its gradient.

The bias is the weight w0 of a feature x0 that is always 1: see `with_bias`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def with_bias(X: Array) -> Array:
    """Put a column of ones, x0 = 1, in front of the features, so that w0 is the bias.

    Parameters
    ----------
    X : array of shape (samples, features)

    Returns
    -------
    array of shape (samples, 1 + features)

    Examples
    --------
    >>> with_bias(np.array([[2.0, 3.0], [4.0, 5.0]]))
    array([[1., 2., 3.],
           [1., 4., 5.]])
    """
    _check_matrix(X)
    return np.column_stack([np.ones(len(X), X.dtype), X])


def predict(w: Array, X: Array) -> Array:
    """Return y_hat = X w, one prediction for each row of `X`.

    Raises
    ------
    ValueError
        If `X` is not two-dimensional, or `w` has not one weight for each column of `X`.

    Examples
    --------
    >>> predict(np.array([1.0, 2.0]), np.array([[1.0, 3.0], [1.0, 4.0]]))
    array([7., 9.])
    """
    _check_matrix(X)
    if np.shape(w)[:1] != X.shape[1:]:
        raise ValueError(
            f"`w` has shape {np.shape(w)}, but `X` has {X.shape[1]} columns: give one weight for "
            "each column, and put the column for the bias in with `with_bias(X)`."
        )
    return X @ w


def loss(w: Array, X: Array, y: Array) -> Any:
    """Return the half sum of squares, L = 1/2 sum (y_hat - y)^2.

    Up to a constant it is the negative log-likelihood of Gaussian noise of variance 1
    (Bishop 2006, *Pattern Recognition and Machine Learning*, section 3.1.1).

    Parameters
    ----------
    w : array of shape (features,)
    X : array of shape (samples, features)
    y : array of shape (samples,)

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or the data hold NaN or infinity.
    TypeError
        If `X` is not an array.

    Examples
    --------
    >>> X, y = np.array([[1.0, 3.0], [1.0, 4.0]]), np.array([6.0, 7.0])
    >>> float(loss(np.array([1.0, 2.0]), X, y))
    2.5
    """
    y_hat = predict(w, X)
    _check_data(X, y, y_hat)
    return 0.5 * np.sum((y_hat - y) ** 2)


def gradient(w: Array, X: Array, y: Array) -> Array:
    """Return the gradient of `loss`, dL/dw = X^T (y_hat - y), shaped like `w`.

    Takes and raises what `loss` does.

    Examples
    --------
    >>> X, y = np.array([[1.0, 3.0], [1.0, 4.0]]), np.array([6.0, 7.0])
    >>> gradient(np.array([1.0, 2.0]), X, y)
    array([ 3., 11.])
    """
    y_hat = predict(w, X)
    _check_data(X, y, y_hat)
    return X.T @ (y_hat - y)


def _check_matrix(X: Array) -> None:
    if not hasattr(X, "shape"):
        raise TypeError(f"`X` is a {type(X).__name__}: make it an array, with `np.array`.")
    if np.ndim(X) != 2:
        raise ValueError(
            f"`X` has {np.ndim(X)} dimension(s), but needs 2: one row for each sample and one "
            "column for each feature."
        )


def _check_data(X: Array, y: Array, y_hat: Array) -> None:
    if np.shape(y) != y_hat.shape:
        raise ValueError(
            f"`y` has shape {np.shape(y)}, but `X` and `w` predict {y_hat.shape}: give one target "
            "for each row of `X`."
        )
    # Bad features always show in y_hat. So the large X is searched only when y_hat is bad.
    for name, values, suspect in (("y", y, y), ("X", X, y_hat)):
        if not np.isfinite(suspect).all() and not np.isfinite(values).all():
            raise ValueError(f"`{name}` holds NaN or infinity: remove or fill in those samples.")
