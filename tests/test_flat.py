"""A flat vector: checked as a dict is with `shapes`; without, its wrong runs are its arrays."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import check_gradient

BUGS = ("sign", "twice", "mean against sum", "never written", "penalty too much")


class Case(NamedTuple):
    shapes: dict[str, tuple[int, ...]]
    wrong: list[str]
    loss: Any
    grad: Any
    x0: dict[str, Any]

    def flat(self, tree: Any) -> Any:
        return np.concatenate([tree[name].ravel() for name in self.shapes])

    def tree(self, theta: Any) -> dict[str, Any]:
        cuts = np.cumsum([np.prod(shape) for shape in self.shapes.values()])[:-1].astype(int)
        parts = zip(self.shapes.items(), np.split(theta, cuts), strict=True)
        return {name: part.reshape(shape) for (name, shape), part in parts}

    @property
    def runs(self) -> set[str]:
        """Where the wrong arrays lie in the vector."""
        places = self.tree(np.arange(self.flat(self.x0).size))
        ends = [(int(places[w].min()), int(places[w].max()) + 1) for w in self.wrong]
        return {f"[{i}:{j}]" if j > i + 1 else f"[{i}]" for i, j in ends}


def network(seed: int) -> Case:
    """A network of 3 to 8 arrays, of which one is wrong, or two that do not touch."""
    rng = np.random.default_rng(seed)
    count, bug = int(rng.integers(3, 9)), BUGS[seed % 5]
    layers, widths = (count + 1) // 2, rng.integers(3, 9, size=6).tolist()
    names = [f"{'Wb'[i % 2]}{i // 2 + 1}" for i in range(count)]
    shapes = {
        n: tuple(widths[k : k + 2] if n[0] == "W" else widths[k + 1 : k + 2])
        for n, k in zip(names, [i // 2 for i in range(count)], strict=True)
    }
    first = int(rng.integers(count))
    other = (first + 2) % count if seed % 3 == 0 and count > 4 else first
    wrong = {names[first], names[other]}
    X, Y = rng.normal(size=(10, widths[0])), rng.normal(size=(10, widths[layers]))

    def activations(p: Any) -> list[Any]:
        A = [X]
        for k in range(1, layers + 1):
            Z = A[-1] @ p[f"W{k}"] + p.get(f"b{k}", 0)
            A.append(np.tanh(Z) if k < layers else Z)
        return A

    def loss(p: Any, X: Any) -> Any:
        return 0.5 * np.sum((activations(p)[-1] - Y) ** 2) / len(X)

    def grad(p: Any, X: Any) -> Any:
        A, g = activations(p), {}
        d = (A[-1] - Y) / len(X)
        for k in range(layers, 0, -1):
            g[f"W{k}"], g[f"b{k}"] = A[k - 1].T @ d, d.sum(axis=0)
            d = d @ p[f"W{k}"].T * (1 - A[k - 1] ** 2)
        for w in wrong:
            factor = dict(zip(BUGS, (-1, 2, len(X), 0, 1), strict=True))[bug]
            g[w] = factor * g[w] + (0.1 * p[w] if bug == BUGS[4] else 0)
        return {name: g[name] for name in names}

    x0 = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return Case(shapes, sorted(wrong), lambda p: loss(p, X), lambda p: grad(p, X), x0)


@pytest.mark.parametrize("seed", range(40))
def test_the_finding_is_that_of_a_dict_and_the_runs_are_the_arrays(seed: int) -> None:
    case = network(seed)
    theta = case.flat(case.x0)

    def fun(t: Any) -> Any:
        return case.loss(case.tree(t))

    def grad(t: Any) -> Any:
        return case.flat(case.grad(case.tree(t)))

    as_dict = check_gradient(case.loss, case.grad, case.x0)
    assert {entry.name.partition("[")[0] for entry in as_dict.wrong} == set(case.wrong)
    with_shapes = check_gradient(fun, grad, theta, shapes=case.shapes)
    assert with_shapes.findings == as_dict.findings
    assert with_shapes.wrong == as_dict.wrong

    alone = check_gradient(fun, grad, theta)
    assert {run for f in alone.findings for run in re.findall(r"\[[\d:]+\]", f.where)} == case.runs
    assert {f.bug for f in alone.findings} == {f.bug for f in as_dict.findings}
    assert alone.notes[0].startswith("`shapes` would tell more")
    assert "`shapes`" not in " ".join(with_shapes.notes)


def test_a_short_vector_needs_no_names() -> None:
    report = check_gradient(lambda w: w @ w, lambda w: -2 * w, np.ones(6))
    assert "`shapes`" not in str(report)
