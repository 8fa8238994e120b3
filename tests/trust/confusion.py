"""Which bug does the check name for each fault of the catalogue: planted against named.

Small networks and the small zoo are checked entry by entry, wide ones along directions.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from gradcheck import Finding, check_gradient
from gradcheck.learning import linear_model, neural_network
from gradcheck.learning.faults import CATALOGUE, MODELS, Fault

from .zoo import KINDS, LAYERS, Case
from .zoo.checks import told

WIDTHS = {"entries": (2, 8), "directions": (16, 40)}

# What may be said of a fault besides its signature without being false: "layer" where all is wrong
# from the output down. Names that only describe are judged to the letter.
ALSO_TRUE = {
    "last unit's sign turned": {"sign"},
}
# Names of findings that say where, and no cause.
PLACES = {
    "one entry",
    "one row",
    "one column",
    "one slice",
    "block",
    "some entries",
    "part of the entries",
    "part of the range",
    "these arrays only",
    "weights only",
    "biases only",
    "layer",
    "unknown",
    "small error",
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
        wrong, right = (as_dict(values) for values in (self.analytic, self.right))
        eps = np.finfo(next(iter(right.values())).dtype).eps
        return {name: np.abs(wrong[name] - right[name]) > 4000 * eps for name in right}

    def array(self, values: Any, name: str) -> Any:
        """Return one array of a gradient or of the parameters."""
        return as_dict(values)[name]


def as_dict(values: Any) -> dict[str, Any]:
    """Return what may be a bare array as a dict."""
    return values if isinstance(values, dict) else {"": values}


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
        """The bugs named that are not there, and the places where nothing, or not all, is wrong."""
        true = {self.plant.fault.signature} | ALSO_TRUE.get(self.plant.fault.name, set())
        told = [f for f in self.findings if f.bug not in true - PLACES]
        return [f.bug for f in told if not self.to_the_letter(f)]

    def to_the_letter(self, finding: Finding) -> bool:
        """Whether a finding that describes where the fault shows is right in that.

        With a dead ReLU, "copied from the first row" can be "never written", to the letter.
        """
        changed, bug = self.plant.changed, finding.bug
        if bug in PLACES:
            return lies_there(finding, changed)
        if bug not in ("never written", "loss ignores it"):
            return False
        for name, inside in inside_of(finding.where, changed).items():
            rest = changed[name] & inside
            if bug == "never written":  # but for the L2 term
                a, l2 = self.plant.array(self.plant.analytic, name), self.plant.args[-1]
                l2 = l2 * (rest.ndim == 2) if self.plant.fault.model == "network" else 0.0
                rest &= (a != 0) & (a != l2 * self.plant.array(self.plant.x0, name))
            else:
                rest &= self.plant.array(self.plant.right, name) != 0
            if rest.any():
                return False
        return True


def inside_of(where: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return which entries of which arrays the place of a finding means."""
    if where in ("every array", "the gradient"):
        return {name: np.full(a.shape, True) for name, a in arrays.items()}
    found: dict[str, Any] = {}
    for text in re.findall(r"(?:[^,\[]|\[(?:[^\[\]]|\[[^\]]*\])*\])+", where):
        text = text.strip()
        name = max((n for n in arrays if text.startswith(n)), key=len)
        inside = found.setdefault(name, np.full(arrays[name].shape, False))
        index = re.fullmatch(r"\[(.*)\]", text[len(name) :].strip())
        inside[as_index(index[1]) if index else ...] = True
    return found


def as_index(text: str) -> Any:
    """Return "2, 4:8, [0, 3]" as an index."""
    return eval(f"np.s_[{text}]", {"np": np})


def lies_there(finding: Finding, changed: dict[str, Any]) -> bool:
    """Whether a finding that says where is right: that is wrong, and what it calls right is not."""
    if finding.bug in ("weights only", "biases only", "layer", "these arrays only"):
        wrong = set(inside_of(finding.where, changed))
        right = re.search(r"right: ([^;]*)", finding.evidence)
        named = right[1].split(", ") if right else []
        return all(changed[n].any() for n in wrong) and not any(changed[n].any() for n in named)
    if finding.bug == "unknown":
        return True
    inside = inside_of(finding.where, changed)
    return all(not (changed[n] & ~inside[n]).any() and changed[n].any() for n in inside)


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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.trust.confusion", description=__doc__)
    parser.add_argument("method", nargs="?", choices=list(WIDTHS), default="entries")
    parser.add_argument("dtype", nargs="?", choices=["float64", "float32"], default="float64")
    parser.add_argument("--seeds", type=int, default=5, help="seeds for every case (default 5)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--only", choices=["catalogue", "zoo"], help="one of the two tables")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    with np.errstate(all="ignore"):
        if given.only != "zoo":
            catalogue(given.method, given.dtype, seeds)
        if given.only != "catalogue":
            zoo(given.method, given.dtype, seeds)


def catalogue(method: Any, dtype: str, seeds: Iterable[int]) -> None:
    """Print what is named first for each fault of the catalogue, and what is false."""
    answers = [
        plant.check(method)
        for fault in CATALOGUE
        for seed in seeds
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
    print(f"right finding first: {named} of {len(signed)} ({named / len(signed):.1%})")
    print(f"false findings: {wrong} of {findings}\n")


def zoo(method: Any, dtype: str, seeds: Iterable[int]) -> None:
    """Print what is told of each bug of the zoo: its cause by name, its place, nothing, or wrong.

    Here a cause counts only where the finding has the name of one, and a place only where all that
    it names is wrong, and nothing else is.
    """
    size = "small" if method == "entries" else "medium"
    print(f"{'layer':24} {'planted':36} told, named first")
    all_told: Counter[str] = Counter()
    for layer, bug in ((own, bug) for own in LAYERS.values() for bug in own.bugs):
        counted: Counter[str] = Counter()
        for seed, kind in product(seeds, KINDS):
            right = Case(layer, dtype, kind, size, seed)
            told = said_of(replace(right, bug=bug.name), right, bug, method)
            counted[told] += 1
            all_told[told.split(":")[0]] += 1
        print(f"{layer.name:24} {bug.name:36} " + ", ".join(f"{k} {n}" for k, n in counted.items()))
    total = all_told.total()
    print(", ".join(f"{k} {n} ({n / total:.1%})" for k, n in all_told.most_common()))


def said_of(case: Case, right: Case, bug: Any, method: Any) -> str:
    """Return what is told of one bug in a layer, such as "cause: sign"."""
    findings = check_gradient(case.fun, case.grad, case.x0, method=method).findings
    a, n = case.grad(case.x0), right.grad(right.x0)
    room = 1e-9 if case.precision == "float64" else 1e-3
    changed = {k: np.abs(a[k] - n[k]) > room * np.abs([a[k], n[k]]).max() for k in a}
    if not findings:
        return "nothing: not seen"
    places = [f for f in findings if f.bug in PLACES]
    if told(findings, bug) == "false" or (
        case.precision == "float64" and not all(lies_there(f, changed) for f in places)
    ):
        return f"false: {findings[0].bug}"
    kinds = {f.bug for f in findings} - {"unknown"}
    kind = "cause" if kinds - PLACES and told(findings, bug) == "cause" else "place"
    return f"{kind if kinds else 'unknown'}: {findings[0].bug}"


if __name__ == "__main__":
    main()
