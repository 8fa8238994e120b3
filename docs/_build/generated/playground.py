"""Write the examples of the playground: each model, right and with each fault of the catalogue.

All of them run here. A fault whose line is not in the model, or does no harm there, is left out.
"""

from __future__ import annotations

import html
import io
import json
from contextlib import redirect_stdout
from textwrap import indent

from gradcheck.learning.faults import CATALOGUE

HOW = """Change the code, press <strong>Run</strong>, and read the report. Nothing you write leaves
your browser; to share it, copy the address of this page, which keeps the code."""
RIGHT = "none: write your own"
LINEAR = """
def loss(w, X, y):
    y_hat = X @ w
    return 0.5 * np.sum((y_hat - y) ** 2)

def gradient(w, X, y):
    y_hat = X @ w
    return X.T @ (y_hat - y)

X, y = rng.normal(size=(20, 4)), rng.normal(size=20)
X[:, 0] = 1
w = rng.normal(size=4)

print(check_gradient(loss, gradient, w, args=(X, y)))
"""
AFFINE = """
def affine(A, W, b):
    return A @ W + b

def affine_backward(A, W, dZ):
    dW = A.T @ dZ
    db = dZ.sum(axis=0)
    dA = dZ @ W.T
    return dA, dW, db
"""
NETWORK = """
def tanh(Z):
    return np.tanh(Z)

def tanh_backward(Z, dA):
    return dA * (1 - tanh(Z) ** 2)

def log_softmax(Z):
    Z = Z - Z.max(axis=1, keepdims=True)
    return Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))

def cross_entropy(Z, y):
    return -log_softmax(Z)[np.arange(len(y)), y].mean()

def cross_entropy_backward(Z, y):
    dZ = np.exp(log_softmax(Z))
    dZ[np.arange(len(y)), y] -= 1
    return dZ / len(y)
def layers(params, X):
    A, Z = {0: X}, {}
    for k in 1, 2, 3:
        Z[k] = affine(A[k - 1], params[f"W{k}"], params[f"b{k}"])
        A[k] = tanh(Z[k])
    return A, Z

def loss(params, X, y, l2):
    A, Z = layers(params, X)
    penalty = sum(np.sum(params[f"W{k}"] ** 2) for k in Z)
    return cross_entropy(Z[3], y) + l2 / 2 * penalty

def gradient(params, X, y, l2):
    A, Z = layers(params, X)
    depth, grad = len(Z), {}
    dZ = cross_entropy_backward(Z[3], y)
    for k in range(depth, 0, -1):
        W = params[f"W{k}"]
        dA, dW, db = affine_backward(A[k - 1], W, dZ)
        grad[f"W{k}"] = dW + l2 * W
        grad[f"b{k}"] = db
        if k > 1:
            dZ = tanh_backward(Z[k - 1], dA)
    return grad

params = {}
for k in 1, 2, 3:
    params[f"W{k}"] = rng.normal(size=(4, 4)) / 2
    params[f"b{k}"] = rng.normal(size=4)
X, y = rng.normal(size=(20, 4)), rng.integers(4, size=20)

print(check_gradient(loss, gradient, params, args=(X, y, 0.1)))
"""
LAYER = """
def forward(A, W, b):
    return affine(A, W, b), (A, W)

def backward(dZ, cache):
    A, W = cache
    return affine_backward(A, W, dZ)

A, W, b = rng.normal(size=(6, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)

print(check_backward(forward, backward, (A, W, b), cache=True))
"""


def main() -> None:
    """Print the first example as a block, all of them as data, and the choice between them."""
    models = {
        "a linear model": examples("check_gradient", LINEAR),
        "a network": examples("check_gradient", AFFINE + NETWORK),
        "one layer": examples("check_backward", AFFINE + LAYER),
    }
    first = models["a linear model"]["y_hat - y turned round"]
    data = json.dumps(models).replace("[", r"\u005b")  # or Markdown would see links
    data = html.escape(data)
    print(f'<form class="choice" data-examples="{data}" hidden>')
    print(f"<p>{HOW}</p>")
    for name in ("model", "fault"):
        print(f'<label>Choose a {name} <select name="{name}"></select></label>')
    print("</form>\n")
    print(f'```python exec="true" edit="open"\n{first}\n```')


def examples(check: str, rest: str) -> dict[str, str]:
    """Give the code with no fault, and with each fault whose line stands in it and does harm."""
    right = f"import numpy as np\nfrom gradcheck import {check}\n\nrng = np.random.default_rng(0)"
    right = f"{right}\n{rest.rstrip()}"
    found = {RIGHT: right}
    for fault in CATALOGUE:
        lines = right.split("\n")
        places = [number for number, line in enumerate(lines) if line.strip() == fault.right]
        if len(places) == 1:
            line = lines[places[0]]
            lines[places[0]] = indent(fault.wrong, line[: -len(fault.right)])
            found[fault.name] = "\n".join(lines)
    said = {name: verdict(code) for name, code in found.items()}
    assert said[RIGHT].startswith("PASSED"), said
    return {
        name: code
        for name, code in found.items()
        if name == RIGHT or said[name].startswith("WRONG")
    }


def verdict(code: str) -> str:
    """Run an example; give its report, or the error of code that does not fit."""
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            exec(code, {"__name__": "__main__"})
    except Exception as error:
        return repr(error)
    return said.getvalue()


if __name__ == "__main__":
    main()
