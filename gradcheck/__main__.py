"""The nine steps of the tutorial with their numbers: run ``python -m gradcheck``."""

import argparse
import os
import sys

import numpy as np

from gradcheck import __version__, check_gradient
from gradcheck.learning.data import swiss
from gradcheck.learning.descent import descent_step
from gradcheck.learning.linear_model import gradient, loss, predict, with_bias


def main() -> None:
    """Print the nine steps, each under its number."""
    print("1. An input with five features")
    X, y, features, provinces = swiss()
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    X = (X - mean) / deviation
    print(f"{len(X)} provinces, {X.shape[1]} features; here is {provinces[0]}:")
    for i in range(5):
        was = mean[i] + deviation[i] * X[0, i]
        print(f"x{i + 1} = {X[0, i]:9.6f}   {features[i]}, {was:.2f} %")

    print("\n2. One neuron with five weights")
    w = np.ones(5)
    y_hat = sum(w[i] * X[0, i] for i in range(5))
    print(f"{provinces[0]}: y_hat = {y_hat:.6f}")
    print(f"the same as X @ w: {(X @ w)[0]:.6f}")

    print("\n3. The output layer")
    y_hat = X @ w
    print(f"{len(y_hat)} predictions for {len(y)} targets")
    print(f"mean prediction {abs(y_hat.mean()):.1f}, mean target {y.mean():.1f}")

    print("\n4. The bias is a weight too")
    X = with_bias(X)
    print(f"X has the shape {X.shape}, its first column is all {X[:, 0].max():.0f}")
    w = np.array([y.mean(), 1, 1, 1, 1, 1])
    print(f"with w0 = {w[0]:.6f}: mean prediction {predict(w, X).mean():.1f}")

    print("\n5. Initial values")
    w = np.random.default_rng(0).normal(size=6)
    for i in range(6):
        print(f"w{i} = {w[i]:9.6f}")
    print(f"loss = {loss(w, X, y):.4f}")

    print("\n6. The gradient of the loss")
    kept = gradient(w, X, y)
    for i in range(6):
        print(f"dL/dw{i} = {kept[i]:12.6f}")

    print("\n7. One step of gradient descent")
    learning_rate = 0.01
    w_new = descent_step(w, kept, learning_rate)
    print(f"loss before {loss(w, X, y):.4f}, after {loss(w_new, X, y):.4f}")
    read_back = (w - w_new) / learning_rate
    for i in range(6):
        print(f"w{i}: {w[i]:9.6f} -> {w_new[i]:9.6f}   slope {read_back[i]:12.6f}")
    print("the gradient can be read back:", np.allclose(read_back, kept))

    print("\n8. The slope of each weight, measured")
    e = 1e-4
    slopes = np.zeros(6)
    for i in range(6):
        up, down = w.copy(), w.copy()
        up[i] += e
        down[i] -= e
        slopes[i] = (loss(up, X, y) - loss(down, X, y)) / (2 * e)
        print(f"w{i}: slope {slopes[i]:10.4f}")

    print("\n9. Side by side")
    print("       gradient        slope")
    for i in range(6):
        tiny = abs(kept[i] - slopes[i]) < 1e-8 * abs(slopes[i])
        print(f"w{i} {kept[i]:12.4f} {slopes[i]:12.4f}   within 1e-8: {tiny}")
    print(check_gradient(loss, kept, w, args=(X, y)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m gradcheck",
        description="Print the nine steps of the tutorial, each with its numbers. To check a "
        "gradient of your own: from gradcheck import check_gradient, check_backward.",
    )
    parser.add_argument("--version", action="version", version=f"gradcheck {__version__}")
    parser.parse_args()
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
