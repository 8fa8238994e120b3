"""Which bug does the check name for each fault of the catalogue: planted against named.

python -m tests.trust.confusion               small networks, entry by entry
python -m tests.trust.confusion directions    wide ones, along directions
python -m tests.trust.confusion entries float32    in single precision; `directions` takes it, too
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from gradcheck import Finding, check_gradient
from gradcheck.learning import linear_model, neural_network
from gradcheck.learning.faults import CATALOGUE, MODELS, Fault

WIDTHS = {"entries": (2, 8), "directions": (16, 40)}

# What may be said of a fault besides its signature without being false: "layer" where all is wrong
# from the output down. Names that only describe are judged to the letter.
ALSO_TRUE = {
    "last unit's sign turned": {"sign"},
    "one-hot forgotten": {"layer"},
    "softmax - one-hot turned round": {"layer"},
}


class Plant(NamedTuple):
    """A fault in one model at one point."""

    fault: Fault
    setting: str
    x0: Any
    args: tuple[Any, ...]
    analytic: Any
    right: Any

    def check(self, method: Any = "entries") -> "Answer":
        fun = MODELS[self.fault.model].loss
        report = check_gradient(fun, self.analytic, self.x0, args=self.args, method=method)
        return Answer(self, report.findings)

    @property
    def changed(self) -> dict[str, Any]:
        """Where the fault makes a difference, array by array."""
        wrong, right = (
            values if isinstance(values, dict) else {"": values}
            for values in (self.analytic, self.right)
        )
        eps = np.finfo(next(iter(right.values())).dtype).eps
        return {name: np.abs(wrong[name] - right[name]) > 4000 * eps for name in right}


class Answer(NamedTuple):
    """What the check says of a plant."""

    plant: Plant
    findings: tuple[Finding, ...]

    @property
    def first(self) -> str:
        return self.findings[0].bug if self.findings else "(none)"

    @property
    def named(self) -> bool:
        """Whether the bug that the numbers give away comes first."""
        return self.first == self.plant.fault.signature

    @property
    def false(self) -> list[str]:
        """The bugs named that are not there; "unknown" names none."""
        fault = self.plant.fault
        true = {fault.signature, "unknown"} | ALSO_TRUE.get(fault.name, set())
        return [f.bug for f in self.findings if f.bug not in true and not self.to_the_letter(f)]

    def to_the_letter(self, finding: Finding) -> bool:
        """Whether a finding that describes where the fault shows is right in that.

        With a dead ReLU, "copied from the first row" can be "never written", to the letter.
        """
        places = re.findall(r"(\w+)(?:\[(.*?)\])?", finding.where)
        return all(self._lies_there(finding.bug, name, index) for name, index in places)

    def _lies_there(self, bug: str, name: str, index: str) -> bool:
        changed = self.plant.changed
        if bug in ("weights only", "biases only"):
            return not changed[("b" if name[0] == "W" else "W") + name[1:]].any()
        rest = changed[name]
        if bug in ("one row", "one column", "one entry"):
            rest[tuple(slice(None) if i == ":" else int(i) for i in index.split(", "))] = False
        elif bug == "never written":  # but for the L2 term
            a, l2 = self.plant.analytic[name], self.plant.args[-1] * (rest.ndim == 2)
            rest &= (a != 0) & (a != l2 * self.plant.x0[name])
        elif bug == "loss ignores it":
            rest &= self.plant.right[name] != 0
        return not rest.any()


@cache
def linear_problem(seed: int) -> tuple[Any, tuple[Any, ...]]:
    rng = np.random.default_rng([seed, 1])
    X = linear_model.with_bias(rng.normal(size=(rng.integers(7, 48), rng.integers(3, 8))))
    return rng.normal(size=X.shape[1]), (X, rng.normal(size=len(X)))


@cache
def network_problem(
    seed: int, depth: int, square: bool, output: str, widths: tuple[int, int]
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Return parameters, none of them 0, and data."""
    rng = np.random.default_rng([seed, 2])
    sizes = [int(size) for size in rng.integers(*widths, size=depth + 1, endpoint=True)]
    if square:
        sizes = [sizes[0]] * (depth + 1)
    params = neural_network.initial_parameters(sizes, rng)
    params = {name: p + 0.3 * rng.normal(size=p.shape) for name, p in params.items()}
    samples = int(rng.integers(9, 40))
    targets: Any = rng.integers(sizes[-1], size=samples)
    if output == "linear":
        targets = rng.normal(size=(samples, sizes[-1]))
    return params, (rng.normal(size=(samples, sizes[0])), targets)


def plants(
    fault: Fault, seed: int, method: Any = "entries", dtype: str = "float64"
) -> Iterator[Plant]:
    """Plant a fault in networks of several depths and kinds, wherever it makes a difference."""
    if fault.model == "linear":
        w, args = _in(dtype, linear_problem(seed))
        yield Plant(fault, "", w, args, fault.gradient(w, *args), linear_model.gradient(w, *args))
        return
    shapes = ((2, False), (3, False), (4, False), (3, True))
    for (depth, square), hidden, output, l2 in product(
        shapes, ("tanh", "relu"), ("softmax", "linear"), (0.0, 0.1)
    ):
        options = {"hidden": hidden, "output": output, "l2": l2}
        if fault.square > square or any(options[k] != v for k, v in fault.needs.items()):
            continue
        x0, data = _in(dtype, network_problem(seed, depth, square, output, WIDTHS[method]))
        args = (*data, hidden, output, l2)
        setting = f"depth {depth}, {hidden}, {output}, l2 {l2}" + (", square" if square else "")
        analytic, right = fault.gradient(x0, *args), neural_network.gradient(x0, *args)
        plant = Plant(fault, setting, x0, args, analytic, right)
        if any(changed.any() for changed in plant.changed.values()):
            yield plant


def _in(dtype: str, tree: Any) -> Any:
    """Return parameters and data in another precision; labels stay whole numbers."""
    if isinstance(tree, dict):
        return {name: _in(dtype, branch) for name, branch in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_in(dtype, branch) for branch in tree)
    return tree if tree.dtype.kind == "i" else tree.astype(dtype)


def tally(answers: Iterable[Answer]) -> str:
    """Say what comes first in these answers, and how often."""
    return ", ".join(
        f"{bug} {count}" for bug, count in Counter(a.first for a in answers).most_common()
    )


def main(method: Any = "entries", dtype: str = "float64", *, seeds: int = 5) -> None:
    answers = [
        plant.check(method)
        for fault in CATALOGUE
        for seed in range(seeds)
        for plant in plants(fault, seed, method, dtype)
    ]
    print(f"{'planted':40} {'signature':14} times  named first")
    for fault in CATALOGUE:
        own = [answer for answer in answers if answer.plant.fault is fault]
        false = Counter(bug for answer in own for bug in answer.false)
        print(
            f"{fault.name:40} {fault.signature or '-':14} {len(own):5}  "
            + tally(own)
            + (f"   FALSE {dict(false)}" if false else "")
        )
    signed = [answer for answer in answers if answer.plant.fault.signature]
    named, findings = sum(a.named for a in signed), sum(len(a.findings) for a in answers)
    wrong = sum(len(answer.false) for answer in answers)
    print(f"right finding first: {named} of {len(signed)} ({named / len(signed):.1%}; goal 90 %)")
    print(f"false findings: {wrong} of {findings} ({wrong / findings:.1%}; goal below 2 %)")


if __name__ == "__main__":
    main(*sys.argv[1:])
