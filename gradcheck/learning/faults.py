"""The catalogue of gradients that are wrong on purpose.

A fault is one line of a model's source and the line that somebody might have written instead.
Its gradient is that source, compiled with the wrong line in place of the right one. So the
wrong line that a page shows is the code that ran.

Check a fault where no parameter is zero: a bug in a bias, say, hides where every bias is 0.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any, Literal

from gradcheck.learning import linear_model, neural_network

MODELS = {"linear": linear_model, "network": neural_network}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A bug on purpose: the right line, the wrong line, and what the numbers look like.

    Attributes
    ----------
    name : str
        What went wrong, in a few words.
    model : "linear" or "network"
        Which module of `MODELS` holds the line.
    right, wrong : str
        The line as it stands in the source of the module, and what takes its place.
    why : str
        One sentence on why the numbers look as they do.
    signature : str or None
        The bug that the numbers alone give away, or None where they do not: "sign", "factor",
        "batch size", "never written", "transposed", "permuted", "L2 term", "layer", "one entry",
        "one row" or "one column".
    needs : dict
        Options of `loss` and `gradient` under which the fault shows.
    square : bool
        Whether the wrong line needs layers that are all equally wide.

    Examples
    --------
    >>> import numpy as np
    >>> w, X, y = np.ones(2), np.eye(2), np.zeros(2)
    >>> fault = find("y_hat - y turned round")
    >>> fault.wrong
    'return X.T @ (y - y_hat)'
    >>> linear_model.gradient(w, X, y), fault.gradient(w, X, y)
    (array([1., 1.]), array([-1., -1.]))
    """

    name: str
    model: Literal["linear", "network"] = "network"
    right: str
    wrong: str
    why: str
    signature: str | None = None
    needs: Mapping[str, Any] = field(default_factory=dict)
    square: bool = False

    @property
    def gradient(self) -> Callable[..., Any]:
        """The wrong gradient, called just like the right one.

        Raises
        ------
        ValueError
            If `right` is not exactly one line of the source.
        """
        module = MODELS[self.model]
        lines = inspect.getsource(module).splitlines()
        places = [i for i, line in enumerate(lines) if line.strip() == self.right]
        if len(places) != 1:
            raise ValueError(
                f"`right` is {self.right!r}, which stands {len(places)} times in "
                f"{module.__name__}: give a line that stands there once."
            )
        line = lines[places[0]]
        lines[places[0]] = indent(self.wrong, line[: line.index(self.right)])
        namespace: dict[str, Any] = {"__name__": module.__name__}
        exec(compile("\n".join(lines), f"<{self.name}>", "exec"), namespace)
        gradient: Callable[..., Any] = namespace["gradient"]
        return gradient


def find(name: str) -> Fault:
    """Return the fault of the catalogue that has this name.

    Raises
    ------
    ValueError
        If there is none.
    """
    for fault in CATALOGUE:
        if fault.name == name:
            return fault
    raise ValueError(f"`name` is {name!r}: choose one of {[fault.name for fault in CATALOGUE]}.")


LINEAR = "return X.T @ (y_hat - y)"
TANH = "return dA * (1 - tanh(Z) ** 2)"
WEIGHTS = "dW = A.T @ dZ"
BIAS = "db = dZ.sum(axis=0)"
BELOW = "dA = dZ @ W.T"
SOFTMAX = "return dZ / len(y)"
PENALTY = 'grad[f"W{k}"] = dW + l2 * W'

CATALOGUE: tuple[Fault, ...] = (
    Fault(
        name="bias column forgotten",
        model="linear",
        right=LINEAR,
        wrong="grad = np.zeros_like(w)\ngrad[1:] = X[:, 1:].T @ (y_hat - y)\nreturn grad",
        why="The column x0 = 1 was skipped, so the slope of the bias kept the 0 it started with.",
        signature="never written",
    ),
    Fault(
        name="bias put last",
        model="linear",
        right=LINEAR,
        wrong="error = y_hat - y\nreturn np.append(X[:, 1:].T @ error, error.sum())",
        why="Each slope is a right number in the wrong place, one place too early.",
        signature="permuted",
    ),
    Fault(
        name="mean instead of sum",
        model="linear",
        right=LINEAR,
        wrong="return X.T @ (y_hat - y) / len(y)",
        why="The loss is a sum over N samples, so each slope is N times too small.",
        signature="batch size",
    ),
    Fault(
        name="minus sign in front",
        model="linear",
        right=LINEAR,
        wrong="return -X.T @ (y_hat - y)",
        why="This is the direction that descent walks, not the slope: every sign is turned.",
        signature="sign",
    ),
    Fault(
        name="y_hat - y turned round",
        model="linear",
        right=LINEAR,
        wrong="return X.T @ (y - y_hat)",
        why="The difference changed its sign, and every slope with it.",
        signature="sign",
    ),
    Fault(
        name="factor 2 left in",
        model="linear",
        right=LINEAR,
        wrong="return 2 * X.T @ (y_hat - y)",
        why="The 2 of the square cancels the half in the loss; here it was not cancelled.",
        signature="factor",
    ),
    Fault(
        name="reshape instead of transpose",
        model="linear",
        right=LINEAR,
        wrong="return X.reshape(len(w), len(y)) @ (y_hat - y)",
        why="The shape is that of X.T, but the numbers stand in another order: nothing fits.",
    ),
    Fault(
        name="column copied by mistake",
        model="linear",
        right=LINEAR,
        wrong="grad = X.T @ (y_hat - y)\ngrad[-1] = X[:, -2] @ (y_hat - y)\nreturn grad",
        why="The last slope was computed with the feature of the one before it.",
        signature="one entry",
    ),
    Fault(
        name="activation's derivative missing",
        right=TANH,
        wrong="return dA",
        why="The last layer has no tanh and is right; every layer below misses a factor under 1.",
        signature="layer",
    ),
    Fault(
        name="derivative 1 - a",
        right=TANH,
        wrong="return dA * (1 - tanh(Z))",
        why="The square was forgotten, so every layer below the last is wrong.",
        signature="layer",
    ),
    Fault(
        name="derivative 1 - z^2",
        right=TANH,
        wrong="return dA * (1 - Z**2)",
        why="It is 1 - a^2 that was meant; for a small z the two are close, so test with larger z.",
        signature="layer",
    ),
    Fault(
        name="derivative of the sigmoid",
        right=TANH,
        wrong="A = tanh(Z)\nreturn dA * A * (1 - A)",
        why="a (1 - a) belongs to the sigmoid; for tanh every layer below the last is wrong.",
        signature="layer",
    ),
    Fault(
        name="derivative at another layer's values",
        right="dZ = activate_backward(Z[k - 1], dA)",
        wrong="dZ = activate_backward(Z[k], dA)",
        why="The slope of tanh was taken one layer too high; equal widths hide it from NumPy.",
        signature="layer",
        square=True,
    ),
    Fault(
        name="ReLU mask from the wrong side",
        right="return dA * (Z > 0)",
        wrong="return dA * (Z < 0)",
        why="The units that are on get nothing and those that are off get it all.",
        signature="layer",
        needs={"hidden": "relu"},
    ),
    Fault(
        name="W not transposed",
        right=BELOW,
        wrong="dA = dZ @ W",
        why="The last layer does not use dA and is right; from there down all is wrong.",
        signature="layer",
        square=True,
    ),
    Fault(
        name="weights updated before they are used",
        right=BELOW,
        wrong="W = W - 0.1 * dW\ndA = dZ @ W.T",
        why="The layers below see weights that have already moved by one step, so they are off.",
        signature="layer",
    ),
    Fault(
        name="weight gradient transposed",
        right=WEIGHTS,
        wrong="dW = (dZ.T @ A).reshape(W.shape)",
        why="The numbers are right but sit in transposed places, reshaped until they fit.",
        signature="transposed",
    ),
    Fault(
        name="rows in reverse order",
        right=WEIGHTS,
        wrong="dW = A[:, ::-1].T @ dZ",
        why="The rows of each weight gradient are right, but they come last to first.",
        signature="permuted",
    ),
    Fault(
        name="one sample left out",
        right=WEIGHTS,
        wrong="dW = A[1:].T @ dZ[1:]",
        why="Every weight lacks what the first sample adds; the biases have it and are right.",
    ),
    Fault(
        name="last row never filled",
        right=WEIGHTS,
        wrong="dW = np.zeros_like(W)\ndW[:-1] = A[:, :-1].T @ dZ",
        why="The loop stopped one row early, and the last row of each W kept its zeros.",
        signature="never written",
    ),
    Fault(
        name="last row copied from the first",
        right=WEIGHTS,
        wrong="dW = A.T @ dZ\ndW[-1] = dW[0]",
        why="One index is wrong, so one row of each W is wrong and the others are right.",
        signature="one row",
    ),
    Fault(
        name="last unit's sign turned",
        right=WEIGHTS,
        wrong="dW = A.T @ dZ\ndW[:, -1] *= -1",
        why="A column of W holds the weights of one unit: one unit is wrong in each layer.",
        signature="one column",
    ),
    Fault(
        name="bias gradient missing",
        right=BIAS,
        wrong="db = np.zeros_like(dZ[0])",
        why="Every b got zeros, and every W is right.",
        signature="never written",
    ),
    Fault(
        name="bias gradient averaged",
        right=BIAS,
        wrong="db = dZ.mean(axis=0)",
        why="dZ has been divided by N already; the mean divides every b by N once more.",
        signature="batch size",
    ),
    Fault(
        name="bias summed over the wrong axis",
        right=BIAS,
        wrong="db = np.resize(dZ.sum(axis=1), dZ.shape[1])",
        why="It sums over units and not over samples, then is cut to fit: every b is wrong.",
    ),
    Fault(
        name="activations of the layer before",
        right="dA, dW, db = affine_backward(A[k - 1], W, dZ)",
        wrong="dA, dW, db = affine_backward(A[max(k - 2, 0)], W, dZ)",
        why="Every b is right, and so is W1; the other W met the input of the layer below.",
        square=True,
    ),
    Fault(
        name="activations of the step before",
        right="A, Z = _layers(params, X, hidden)",
        wrong=(
            "_, Z = _layers(params, X, hidden)\n"
            "before = {name: p + 0.1 for name, p in params.items()}\n"
            "A, _ = _layers(before, X, hidden)"
        ),
        why="A was kept from before the last step: every b and W1 are right, the other W are not.",
    ),
    Fault(
        name="one-hot forgotten",
        right="dZ[np.arange(len(y)), y] -= 1",
        wrong="pass  # the line was forgotten",
        why="The gradient no longer knows the labels, so every array is wrong.",
    ),
    Fault(
        name="softmax - one-hot turned round",
        right=SOFTMAX,
        wrong="return -dZ / len(y)",
        why="The error starts with the wrong sign and carries it into every layer.",
        signature="sign",
    ),
    Fault(
        name="batch mean forgotten",
        right=SOFTMAX,
        wrong="return dZ",
        why="The loss is a mean over N samples, so every slope is N times too large.",
        signature="batch size",
    ),
    Fault(
        name="half of the squared error forgotten",
        right="return (Z - y) / len(y)",
        wrong="return 2 * (Z - y) / len(y)",
        why="The loss has a half that cancels the 2 of the square: every slope is doubled.",
        signature="factor",
        needs={"output": "linear"},
    ),
    Fault(
        name="L2 forgotten",
        right=PENALTY,
        wrong='grad[f"W{k}"] = dW',
        why="What is missing is l2 times the weight itself; the biases have no penalty.",
        signature="L2 term",
        needs={"l2": 0.1},
    ),
    Fault(
        name="L2 doubled",
        right=PENALTY,
        wrong='grad[f"W{k}"] = dW + 2 * l2 * W',
        why="The penalty has a half that cancels the 2: here l2 times the weight is too much.",
        signature="L2 term",
        needs={"l2": 0.1},
    ),
    Fault(
        name="L2 with the wrong sign",
        right=PENALTY,
        wrong='grad[f"W{k}"] = dW - l2 * W',
        why="Each weight is off by twice l2 times itself.",
        signature="L2 term",
        needs={"l2": 0.1},
    ),
    Fault(
        name="L2 on biases too",
        right='grad[f"b{k}"] = db',
        wrong='grad[f"b{k}"] = db + l2 * params[f"b{k}"]',
        why="The loss leaves biases free, so each is off by l2 times itself; at 0 nothing shows.",
        signature="L2 term",
        needs={"l2": 0.1},
    ),
    Fault(
        name="last layer's weights never written",
        right=PENALTY,
        wrong='if k < depth:\n    grad[f"W{k}"] = dW + l2 * W',
        why="The last W kept the zeros it started with, and everything else is right.",
        signature="never written",
    ),
    Fault(
        name="first layer never reached",
        right="for k in range(depth, 0, -1):",
        wrong="for k in range(depth, 1, -1):",
        why="The loop ends one layer early, and W1 and b1 kept their zeros.",
        signature="never written",
    ),
    Fault(
        name="number left over from debugging",
        right="return grad",
        wrong='grad["W1"][0, 0] += 0.01\nreturn grad',
        why="One single entry was touched by hand, and all others are right.",
        signature="one entry",
    ),
)
