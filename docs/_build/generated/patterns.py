"""Write one small back-pass for each bug that a report can name and the catalogue has not.

Each is a right back-pass with one line put wrong. What the report says of it is what it stands
under, so a name that changes in the package changes on the page.
"""

from __future__ import annotations

from functools import cache
from textwrap import dedent, wrap
from typing import Any, NamedTuple

from generated.bugs import anchor

HEAD = "import numpy as np\n\nfrom gradcheck import {check}\n\nrng = np.random.default_rng(0)\n"
TAIL = """
where, bug, evidence, look_at = report.findings[0]
print(f"{where}: {bug}. {evidence}")
print(f"Look at: {look_at}")
"""


class Pattern(NamedTuple):
    """What the code does, the wrong line, the right one, and the code around the two."""

    about: str
    wrong: str
    right: str
    code: str

    def program(self, line: str) -> str:
        """Return the whole program, with one of the two lines in its place."""
        code = dedent(self.code).strip("\n").replace("LINE", line)
        check = "check_backward" if "check_backward" in code else "check_gradient"
        return HEAD.format(check=check) + code + "\n" + TAIL


FIT = """
X, y, w = rng.normal(size=(20, 4)), rng.normal(size=20), rng.normal(size=4)


def loss(w):
    return 0.5 * np.sum((X @ w - y) ** 2) + TERM


def gradient(w):
    LINE


report = check_gradient(loss, gradient, w)
"""
LAYER = """
x = rng.normal(size=(6, 5))


def forward(x):
    return OUTPUT


def backward(dy, x):
    LINE


report = check_backward(forward, backward, x)
"""
LEAKY = LAYER.replace("OUTPUT", "np.where(x > 0, x, 0.1 * x)")
GATED = """
x, Q, K = rng.normal(size=(6, 4)), *rng.normal(size=(2, 4, 3))


def forward(x, Q, K):
    return (x @ Q) * (x @ K)


def backward(dy, x, Q, K):
    q, k = dy * (x @ K), dy * (x @ Q)
    dx, dQ, dK = q @ Q.T + k @ K.T, x.T @ q, x.T @ k
    LINE


report = check_backward(forward, backward, (x, Q, K))
"""

PATTERNS = (
    Pattern(
        "A lasso: least squares with a penalty on the sizes of the weights, left out of the gradient.",
        "return X.T @ (X @ w - y)",
        "return X.T @ (X @ w - y) + 0.5 * np.sign(w)",
        FIT.replace("TERM", "0.5 * np.sum(np.abs(w))"),
    ),
    Pattern(
        "A price on the sum of the weights, left out of the gradient.",
        "return X.T @ (X @ w - y)",
        "return X.T @ (X @ w - y) + 0.5",
        FIT.replace("TERM", "0.5 * np.sum(w)"),
    ),
    Pattern(
        "A Poisson loss, by what the neuron adds up. Its first term was left out of the gradient.",
        "return -y",
        "return np.exp(z) - y",
        """
        y, z = rng.integers(9, size=12), rng.normal(size=12)


        def loss(z):
            return np.sum(np.exp(z) - y * z)


        def gradient(z):
            LINE


        report = check_gradient(loss, gradient, z)
        """,
    ),
    Pattern(
        "A softmax: each output depends on all scores of its row, and that sum was left out.",
        "return p * dy",
        "return p * (dy - np.sum(dy * p, axis=1, keepdims=True))",
        """
        x = rng.normal(size=(6, 5))


        def softmax(x):
            e = np.exp(x)
            return e / e.sum(axis=1, keepdims=True)


        def backward(dy, x):
            p = softmax(x)
            LINE


        report = check_backward(softmax, backward, x)
        """,
    ),
    Pattern(
        "Each row is divided by its length, which was taken for a constant on the way back.",
        "return dy / s",
        "return (dy - z * np.sum(dy * z, axis=1, keepdims=True)) / s",
        """
        x = rng.normal(size=(6, 5))


        def length(x):
            return np.sqrt(np.sum(x**2, axis=1, keepdims=True))


        def forward(x):
            return x / length(x)


        def backward(dy, x):
            s = length(x)
            z = x / s
            LINE


        report = check_backward(forward, backward, x)
        """,
    ),
    Pattern(
        "A penalty with a weight for each row, left out of the gradient.",
        "return X.T @ (X @ W - Y)",
        "return X.T @ (X @ W - Y) + decay * W",
        """
        X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 5))
        W, decay = rng.normal(size=(4, 5)), np.array([[0.1], [0.2], [0.5], [1.0]])


        def loss(W):
            return 0.5 * np.sum((X @ W - Y) ** 2) + 0.5 * np.sum(decay * W**2)


        def gradient(W):
            LINE


        report = check_gradient(loss, gradient, W)
        """,
    ),
    Pattern(
        "A parameter that is the logarithm of a scale. Its slope is that of the scale.",
        "return s - y",
        "return (s - y) * s",
        """
        y, t = rng.normal(size=8), rng.normal(size=8)


        def loss(t):
            return 0.5 * np.sum((np.exp(t) - y) ** 2)


        def gradient(t):
            s = np.exp(t)
            LINE


        report = check_gradient(loss, gradient, t)
        """,
    ),
    Pattern(
        "The forward pass forgets the bias, and the back-pass does not.",
        "return X @ p['W'] - Y",
        "return X @ p['W'] + p['b'] - Y",
        """
        X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
        p = {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}


        def residual(p):
            LINE


        def loss(p):
            return 0.5 * np.sum(residual(p) ** 2)


        def gradient(p):
            r = residual(p)
            return {"W": X.T @ r, "b": r.sum(axis=0)}


        report = check_gradient(loss, gradient, p)
        """,
    ),
    Pattern(
        "A ReLU whose mask is turned round on the way back.",
        "return dy * (x < 0)",
        "return dy * (x > 0)",
        LAYER.replace("OUTPUT", "np.maximum(x, 0)"),
    ),
    Pattern(
        "A gradient that is clipped, as for a step of descent.",
        "return np.clip(X.T @ (X @ w - y), -10, 10)",
        "return X.T @ (X @ w - y)",
        FIT.replace(" + TERM", "").replace("4", "8"),
    ),
    Pattern(
        "A loss of absolute errors, with the gradient of squared ones.",
        "return z - y",
        "return np.sign(z - y)",
        """
        y, z = rng.normal(size=12), rng.normal(size=12)


        def loss(z):
            return np.sum(np.abs(z - y))


        def gradient(z):
            LINE


        report = check_gradient(loss, gradient, z)
        """,
    ),
    Pattern(
        "Each column is scaled, and the slopes that go back are not.",
        "return dy",
        "return dy * np.array([0.5, 2, 3, 0.1, 1.5])",
        LAYER.replace("OUTPUT", "x * np.array([0.5, 2, 3, 0.1, 1.5])"),
    ),
    Pattern(
        "Each row loses its mean, and the slopes that go back do not.",
        "return dy",
        "return dy - dy.mean(axis=1, keepdims=True)",
        LAYER.replace("OUTPUT", "x - x.mean(axis=1, keepdims=True)"),
    ),
    Pattern(
        "A leaky ReLU with the two slopes swapped.",
        "return dy * np.where(x > 0, 0.1, 1)",
        "return dy * np.where(x > 0, 1, 0.1)",
        LEAKY,
    ),
    Pattern(
        "Two matrices of one shape, returned in the wrong order.",
        "return dx, dK, dQ",
        "return dx, dQ, dK",
        GATED,
    ),
    Pattern(
        "Two matrices of one shape, and the slopes of one returned for both.",
        "return dx, dQ, dQ",
        "return dx, dQ, dK",
        GATED,
    ),
    Pattern(
        "An embedding: a word that comes twice gets the slopes of its last place only.",
        "dtable[words] += dy",
        "np.add.at(dtable, words, dy)",
        """
        table, words = rng.normal(size=(8, 3)), np.array([4, 2, 0, 2, 4, 7])


        def forward(table, words):
            return table[words]


        def backward(dy, table, words):
            dtable = np.zeros_like(table)
            LINE
            return dtable, None


        report = check_backward(forward, backward, (table, words))
        """,
    ),
    Pattern(
        "A small number that keeps a logarithm finite, in the loss only.",
        "return dy / x",
        "return dy / (x + 1e-4)",
        LAYER.replace("OUTPUT", "np.log(x + 1e-4)").replace("rng.normal(", "1 + rng.random("),
    ),
    Pattern(
        "A softplus is finite everywhere, and an exponential on the way back is not.",
        "return dy * np.exp(x) / (1 + np.exp(x))",
        "return dy / (1 + np.exp(-x))",
        """
        x = np.array([-2.0, 1.0, 3.0, 1000.0])


        def forward(x):
            return np.logaddexp(0, x)


        @np.errstate(all="ignore")
        def backward(dy, x):
            LINE


        report = check_backward(forward, backward, x)
        """,
    ),
    Pattern(
        "A cross-entropy of many labels, with the slope of a square where the label is 0.",
        "return np.where(y == 1, p - 1, p**2)",
        "return np.where(y == 1, p - 1, p)",
        """
        z, y = rng.normal(size=(6, 5)), rng.integers(2, size=(6, 5))


        def loss(z):
            return np.sum(np.logaddexp(0, z) - y * z)


        def gradient(z):
            p = 1 / (1 + np.exp(-z))
            LINE


        report = check_gradient(loss, gradient, z)
        """,
    ),
    Pattern(
        "A gate `s` that lets `a` through. The slope of the gate takes the wrong activation.",
        "ds = dy * a * (1 - a**2)",
        "ds = dy * a * s * (1 - s)",
        """
        x, A, S = rng.normal(size=(6, 4)), *rng.normal(size=(2, 4, 3))


        def forward(x, A, S):
            return np.tanh(x @ A) / (1 + np.exp(-x @ S))


        def backward(dy, x, A, S):
            a, s = np.tanh(x @ A), 1 / (1 + np.exp(-x @ S))
            da = dy * s * (1 - a**2)
            LINE
            return da @ A.T + ds @ S.T, x.T @ da, x.T @ ds


        report = check_backward(forward, backward, (x, A, S))
        """,
    ),
    Pattern(
        "A loop over channels that writes one of them from its neighbour.",
        "dx[..., c] = dy[..., c % 2] * 2 * x[..., c]",
        "dx[..., c] = dy[..., c] * 2 * x[..., c]",
        """
        x = rng.normal(size=(4, 4, 3))


        def forward(x):
            return x**2


        def backward(dy, x):
            dx = np.empty_like(x)
            for c in range(3):
                LINE
            return dx


        report = check_backward(forward, backward, x)
        """,
    ),
    Pattern(
        "Three gates side by side in one matrix. One of them lacks its derivative.",
        "dz[:, 3:6] = dy * a * g",
        "dz[:, 3:6] = dy * a * g * b * (1 - b)",
        """
        x, W = rng.normal(size=(6, 4)), rng.normal(size=(4, 9))


        def gates(x, W):
            z = x @ W
            s = 1 / (1 + np.exp(-z))
            return s[:, :3], s[:, 3:6], np.tanh(z[:, 6:])


        def forward(W):
            a, b, g = gates(x, W)
            return a * b * g


        def backward(dy, W):
            a, b, g = gates(x, W)
            dz = np.empty((6, 9))
            dz[:, :3] = dy * b * g * a * (1 - a)
            LINE
            dz[:, 6:] = dy * a * b * (1 - g**2)
            return x.T @ dz


        report = check_backward(forward, backward, W)
        """,
    ),
    Pattern(
        "A quadratic form of a matrix that need not be symmetric, with half of it counted twice.",
        "return np.outer(v, v) * (2 - np.eye(4))",
        "return np.outer(v, v)",
        """
        v, S = rng.normal(size=4), rng.normal(size=(4, 4))


        def loss(S):
            return v @ S @ v


        def gradient(S):
            LINE


        report = check_gradient(loss, gradient, S)
        """,
    ),
    Pattern(
        "An ELU, whose slope on the negative side is off by 1.",
        "return dy * np.where(x > 0, 1, np.exp(x) - 1)",
        "return dy * np.where(x > 0, 1, np.exp(x))",
        LAYER.replace("OUTPUT", "np.where(x > 0, x, np.exp(x) - 1)").replace("(6, 5)", "12"),
    ),
    Pattern(
        "A penalty, and the slope of another. The check tries each number in `args` as 0.",
        "return X.T @ (X @ w - y) + l2 * np.tanh(w)",
        "return X.T @ (X @ w - y) + l2 * 4 * w**3",
        """
        X, y, w = rng.normal(size=(20, 4)), rng.normal(size=20), rng.normal(size=4)


        def loss(w, X, y, l2):
            return 0.5 * np.sum((X @ w - y) ** 2) + l2 * np.sum(w**4)


        def gradient(w, X, y, l2):
            LINE


        report = check_gradient(loss, gradient, w, args=(X, y, 0.1))
        """,
    ),
    Pattern(
        "One label is 0, and the code takes it for a label that is missing.",
        "return X.T @ np.where(y == 0, 0, np.sinh(X @ w - y))",
        "return X.T @ np.sinh(X @ w - y)",
        """
        X, w = rng.normal(size=(6, 4)), rng.normal(size=4)
        y = np.array([1, 2, 1, 0, 2, 1])


        def loss(w, X, y):
            return np.sum(np.cosh(X @ w - y))


        def gradient(w, X, y):
            LINE


        report = check_gradient(loss, gradient, w, args=(X, y))
        """,
    ),
    Pattern(
        "Slopes are looked up by the value of the parameter, and some values come more than once.",
        "at = [values.index(value) for value in values]",
        "at = list(range(20))",
        """
        w = rng.integers(-6, 6, size=(4, 5)) / 4
        k = np.arange(1, 21).reshape(4, 5)


        def loss(w):
            return np.sum(np.cos(k * w)) + np.sum(w) ** 3


        def gradient(w):
            slopes = 3 * np.sum(w) ** 2 - k * np.sin(k * w)
            values = w.ravel().tolist()
            LINE
            return slopes.ravel()[at].reshape(4, 5)


        report = check_gradient(loss, gradient, w)
        """,
    ),
    Pattern(
        "The gradient is right. The step that the check was told to take is not.",
        "step = 1e-4",
        "step = None",
        """
        w = 1e-5 * rng.normal(size=6)


        def loss(w):
            return np.sum(np.sqrt(w**2 + 1e-10)) + np.sum(w)


        def gradient(w):
            return w / np.sqrt(w**2 + 1e-10) + 1


        LINE
        report = check_gradient(loss, gradient, w, step=step)
        """,
    ),
    Pattern(
        "A bias whose slope does not use what comes back.",
        "return dy @ W.T, x.T @ dy, np.ones(3)",
        "return dy @ W.T, x.T @ dy, dy.sum(axis=0)",
        """
        x, W, b = rng.normal(size=(6, 4)), rng.normal(size=(4, 3)), rng.normal(size=3)


        def forward(x, W, b):
            return x @ W + b


        def backward(dy, x, W, b):
            LINE


        report = check_backward(forward, backward, (x, W, b))
        """,
    ),
    Pattern(
        "What comes back is clipped in the layer.",
        "return np.clip(dy, -1, 1) * (1 - np.tanh(x) ** 2)",
        "return dy * (1 - np.tanh(x) ** 2)",
        LAYER.replace("OUTPUT", "np.tanh(x)"),
    ),
)


@cache
def by_name() -> dict[str, Pattern]:
    """Return the patterns by the bug that the report names first."""
    return {run(pattern.program(pattern.wrong)).findings[0].bug: pattern for pattern in PATTERNS}


def run(program: str) -> Any:
    """Return the report that a program makes."""
    names: dict[str, Any] = {}
    exec(program.removesuffix(TAIL), names)
    return names["report"]


def main() -> None:
    """Print one section for each name."""
    for bug, pattern in by_name().items():
        print(f"### “{bug}” {{ #says-{anchor(bug)} }}\n")
        about = "\n".join(wrap(pattern.about, 76, initial_indent="  # ", subsequent_indent="  # "))
        print(f"```diff\n{about}\n- {pattern.wrong}\n+ {pattern.right}\n```\n")
        program = pattern.program(pattern.wrong)
        print(f'```python exec="true" fold="true"\n{program}```\n')


if __name__ == "__main__":
    main()
