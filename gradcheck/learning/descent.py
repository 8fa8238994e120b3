"""One step of gradient descent."""

from typing import Any

import numpy as np


def descent_step(params: Any, grad: Any, learning_rate: float) -> Any:
    """Return new parameters, params - learning_rate * grad. The old ones stay as they are.

    Parameters
    ----------
    params : array, or dict, list or tuple of such, nested as deep as you like
    grad : the same structure, with arrays of the same shapes
    learning_rate : positive finite number

    Raises
    ------
    ValueError
        If `learning_rate` is not positive and finite, or `grad` is not shaped like `params`.

    Examples
    --------
    >>> descent_step(np.array([1.0, 2.0]), np.array([10.0, -10.0]), 0.1)
    array([0., 3.])
    >>> descent_step({"b1": np.array([1.0])}, {"b1": np.array([4.0])}, 0.5)
    {'b1': array([-1.])}
    """
    # An array of no dimensions is a number; `True` is none, though Python counts with it.
    rate: Any = learning_rate
    if isinstance(rate, np.ndarray):
        rate = rate[()]
    number = isinstance(rate, int | float | np.integer | np.floating) and rate is not True
    if not (number and 0 < rate < np.inf):
        raise ValueError(
            f"`learning_rate` is {learning_rate!r}: give a positive finite number, such as 0.1."
        )
    return _step(params, grad, float(rate), "")


def _step(params: Any, grad: Any, learning_rate: float, where: str) -> Any:
    if isinstance(params, dict):
        if not isinstance(grad, dict) or grad.keys() != params.keys():
            found = list(grad) if isinstance(grad, dict) else type(grad).__name__
            raise ValueError(f"`grad{where}` has {found}, but needs the keys {list(params)}.")
        return {k: _step(params[k], grad[k], learning_rate, f"{where}[{k!r}]") for k in params}
    if isinstance(params, list | tuple):
        if not isinstance(grad, list | tuple) or len(grad) != len(params):
            raise ValueError(f"`grad{where}` needs {len(params)} parts, as `params{where}` has.")
        pairs = enumerate(zip(params, grad, strict=True))
        make = getattr(type(params), "_make", type(params))  # a NamedTuple has a maker of its own
        return make([_step(p, g, learning_rate, f"{where}[{i}]") for i, (p, g) in pairs])
    if np.shape(params) != np.shape(grad):
        raise ValueError(
            f"`grad{where}` has shape {np.shape(grad)}, but `params{where}` has shape "
            f"{np.shape(params)}: give one slope for each parameter."
        )
    return np.asarray(params) - learning_rate * np.asarray(grad)
