"""Which bug does the check name for each fault of the catalogue: planted against named.

Run `python -m tests.trust.confusion`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from gradcheck.checking.diagnosis import ArrayCheck, diagnose
from gradcheck.checking.report import Finding
from gradcheck.learning import linear_model, neural_network
from gradcheck.learning.faults import CATALOGUE, MODELS, Fault

# What may be said of a fault besides its signature without being false. "layer input": the biases
# are right, so the line of the weights is not. "layer": wrong from the output down.
ALSO_TRUE = {
    "one sample left out": {"layer input"},
    "activations of the layer before": {"layer input"},
    "rows in reverse order": {"layer input"},
    "weight gradient transposed": {"layer input"},
    "last row never filled": {"layer input"},
    "last row copied from the first": {"layer input"},
    "last unit's sign turned": {"layer input", "sign"},
    "bias summed over the wrong axis": {"bias sum"},
    "one-hot forgotten": {"layer"},
    "softmax - one-hot turned round": {"layer"},
    "last layer's weights never written": {"layer input"},
}


class Plant(NamedTuple):
    fault: Fault
    setting: str
    x0: Any
    args: tuple[Any, ...]
    numerical: Any
    analytic: Any
    right: Any

    @property
    def changed(self) -> dict[str, Any]:
        """Where the fault makes a difference."""
        analytic, right = by_name(self.analytic), by_name(self.right)
        return {name: np.abs(analytic[name] - right[name]) > 1e-12 for name in right}


class Answer(NamedTuple):
    plant: Plant
    findings: tuple[Finding, ...]

    @property
    def first(self) -> str:
        return self.findings[0].bug if self.findings else "(none)"

    @property
    def named(self) -> bool:
        """The bug that the numbers give away comes first."""
        return self.first == self.plant.fault.signature

    @property
    def false(self) -> list[str]:
        """The bugs named that are not there; "unknown" names none."""
        fault = self.plant.fault
        true = {fault.signature, "unknown"} | ALSO_TRUE.get(fault.name, set())
        return [f.bug for f in self.findings if f.bug not in true and not self.to_the_letter(f)]

    def to_the_letter(self, finding: Finding) -> bool:
        """Whether all that the fault changed is 0 (but for the penalty), or lies in the row, column or entry named."""
        for name, index in re.findall(r"(\w+)(?:\[(.*?)\])?", finding.where):
            changed = self.plant.changed[name]
            if finding.bug == "never written":
                penalty = self.plant.args[-1] * self.plant.x0[name] * (changed.ndim == 2)
                changed &= (self.plant.analytic[name] != 0) & (self.plant.analytic[name] != penalty)
            elif finding.bug in ("one row", "one column", "one entry"):
                here = tuple(slice(None) if i == ":" else int(i) for i in index.split(", "))
                changed[here] = False
            if changed.any():
                return False
        return True


def by_name(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else {"": values}


def slopes(fun: Any, x0: Any, args: tuple[Any, ...]) -> Any:
    """Return the slopes of `fun` by central differences of two steps, extrapolated."""
    if isinstance(x0, dict):
        return {
            name: slopes(lambda v, name=name: fun(x0 | {name: v}, *args), array, ())
            for name, array in x0.items()
        }
    result = np.empty_like(x0)
    for i in np.ndindex(x0.shape):
        d = np.zeros_like(x0)
        d[i] = 1
        fine, coarse = (
            (fun(x0 + h * d, *args) - fun(x0 - h * d, *args)) / (2 * h) for h in (1e-5, 2e-5)
        )
        result[i] = fine + (fine - coarse) / 3
    return result


def checks(analytic: Any, numerical: Any, x0: Any) -> list[ArrayCheck]:
    """Return what a check sees of a gradient whose true slopes are known to about 1e-10."""
    analytic, numerical, x0 = by_name(analytic), by_name(numerical), by_name(x0)
    arrays = []
    for name in x0:
        a, n = np.asarray(analytic[name]), numerical[name]
        error = np.full(n.shape, 1e-9 * (1 + np.abs(n).max(initial=0)))
        with np.errstate(invalid="ignore"):
            agree = np.abs(a - n) <= 1e-6 * np.maximum(np.abs(a), np.abs(n)) + error
        arrays.append(ArrayCheck(name, x0[name], a, n, error, ~agree))
    return arrays


def lengths(args: tuple[Any, ...]) -> list[int]:
    return [len(arg) for arg in args if np.ndim(arg)]


@cache
def linear_problem(seed: int) -> tuple[Any, tuple[Any, ...], Any]:
    """Return parameters, arguments and true slopes."""
    rng = np.random.default_rng([seed, 1])
    X = linear_model.with_bias(rng.normal(size=(rng.integers(7, 48), rng.integers(3, 8))))
    w, args = rng.normal(size=X.shape[1]), (X, rng.normal(size=len(X)))
    return w, args, slopes(linear_model.loss, w, args)


@cache
def network_problem(
    seed: int, depth: int, square: bool, hidden: str, output: str, l2: float
) -> tuple[dict[str, Any], tuple[Any, ...], Any]:
    """Return parameters, arguments and true slopes; no bias is 0."""
    rng = np.random.default_rng([seed, 2])
    sizes = [int(size) for size in rng.integers(2, 9, size=depth + 1)]
    if square:
        sizes = [sizes[0]] * (depth + 1)
    params = neural_network.initial_parameters(sizes, rng)
    params = {name: p + 0.3 * rng.normal(size=p.shape) for name, p in params.items()}
    samples = int(rng.integers(9, 40))
    targets = rng.integers(sizes[-1], size=samples)
    if output == "linear":
        targets = rng.normal(size=(samples, sizes[-1]))
    args = (rng.normal(size=(samples, sizes[0])), targets, hidden, output, l2)
    return params, args, slopes(neural_network.loss, params, args)


def plants(fault: Fault, seed: int) -> Iterator[Plant]:
    """Plant a fault in networks of several depths and kinds, wherever it makes a difference."""
    if fault.model == "linear":
        x0, args, numerical = linear_problem(seed)
        yield Plant(
            fault,
            "",
            x0,
            args,
            numerical,
            fault.gradient(x0, *args),
            linear_model.gradient(x0, *args),
        )
        return
    shapes = ((2, False), (3, False), (4, False), (3, True))
    for (depth, square), hidden, output, l2 in product(
        shapes, ("tanh", "relu"), ("softmax", "linear"), (0.0, 0.1)
    ):
        options = {"hidden": hidden, "output": output, "l2": l2}
        if fault.square > square or any(options[k] != v for k, v in fault.needs.items()):
            continue
        x0, args, numerical = network_problem(seed, depth, square, hidden, output, l2)
        analytic = fault.gradient(x0, *args)
        right = MODELS[fault.model].gradient(x0, *args)
        if all(np.array_equal(analytic[name], right[name]) for name in right):
            continue
        if any(check.wrong.any() for check in checks(right, numerical, x0)):
            continue  # a kink of the loss within the step
        setting = f"depth {depth}, {hidden}, {output}, l2 {l2}" + (", square" if square else "")
        yield Plant(fault, setting, x0, args, numerical, analytic, right)


def ask(plant: Plant) -> Answer:
    seen = checks(plant.analytic, plant.numerical, plant.x0)
    return Answer(plant, diagnose(seen, lengths(plant.args)))


def main(seeds: int = 5) -> None:
    answers = [
        ask(plant) for fault in CATALOGUE for seed in range(seeds) for plant in plants(fault, seed)
    ]
    for fault in CATALOGUE:
        own = [answer for answer in answers if answer.plant.fault is fault]
        firsts = Counter(answer.first for answer in own)
        named = ", ".join(f"{bug} {count}" for bug, count in firsts.most_common())
        false = Counter(bug for answer in own for bug in answer.false)
        print(f"{fault.name:40} {fault.signature or '-':14} {len(own):4}  {named}", end="")
        print(f"   FALSE {dict(false)}" if false else "")
    signed = [answer for answer in answers if answer.plant.fault.signature]
    named = sum(answer.named for answer in signed)
    findings = sum(len(answer.findings) for answer in answers)
    false = sum(len(answer.false) for answer in answers)
    print(f"right finding first: {named} of {len(signed)} ({named / len(signed):.1%})")
    print(f"false findings: {false} of {findings} ({false / findings:.1%})")


if __name__ == "__main__":
    main()
