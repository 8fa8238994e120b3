"""The same work done by other checkers, for those that are installed."""

from collections.abc import Callable
from typing import Any


def entry_by_entry(w: Any, X: Any, y: Any) -> dict[str, Callable[[], Any]]:
    """Return what each peer offers for every partial derivative of a linear loss."""
    rivals: dict[str, Callable[[], Any]] = {}

    def loss(w: Any) -> Any:
        return 0.5 * ((X @ w - y) ** 2).sum()

    try:
        from scipy.optimize._numdiff import approx_derivative
    except ImportError:
        pass
    else:
        rivals["scipy approx_derivative, 3-point"] = lambda: approx_derivative(loss, w)
    try:
        import numdifftools
    except ImportError:
        pass
    else:
        if w.size <= 1000:  # beyond, it takes minutes
            rivals["numdifftools Gradient"] = lambda: numdifftools.Gradient(loss)(w)
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)
        features, target = torch.tensor(X), torch.tensor(y)
        weights = torch.tensor(w, requires_grad=True)

        def torch_loss(w: Any) -> Any:
            return 0.5 * ((features @ w - target) ** 2).sum()

        rivals["torch gradcheck"] = lambda: torch.autograd.gradcheck(torch_loss, (weights,))
        rivals["torch gradcheck, fast (no entries)"] = lambda: torch.autograd.gradcheck(
            torch_loss, (weights,), fast_mode=True
        )
    try:
        import autograd.numpy
        from autograd.test_util import check_grads
    except ImportError:
        pass
    else:

        def autograd_loss(w: Any) -> Any:
            return 0.5 * autograd.numpy.sum((autograd.numpy.dot(X, w) - y) ** 2)

        rivals["autograd check_grads (no entries)"] = lambda: check_grads(
            autograd_loss, modes=["rev"], order=1
        )(w)
    try:
        import jax
        from jax.test_util import check_grads as jax_check_grads
    except ImportError:
        pass
    else:
        jax.config.update("jax_enable_x64", True)
        rivals["jax check_grads (no entries)"] = lambda: jax_check_grads(
            loss, (jax.numpy.asarray(w),), order=1, modes=["rev"]
        )
    return rivals
