"""What a layer of the zoo is, the bugs planted in it, and how it becomes a case to check."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tests.trust.outcomes import PRECISIONS

Rng = np.random.Generator
KINDS = ("normal", "zeros", "ties")  # of input: normal, a third exactly zero, small integers
SIZES = {"small": 60, "medium": 2_400, "large": 21_000}  # about how many parameters


class Bug(NamedTuple):
    """One realistic wrong line of a back-pass.

    `wrong` names the arrays that it makes wrong, separated by blanks. One of `says` in a finding
    means that it tells the cause, none of `never` may be said.
    """

    name: str
    wrong: str
    says: tuple[str, ...]
    never: tuple[str, ...] = ()


class Layer(NamedTuple):
    """A forward pass, its hand-written back-pass, and three bugs for it.

    ``forward(*inputs)`` returns output and cache. The output is an array or a tuple of arrays; one
    number is a loss. ``backward(upstream, cache, bug="")`` returns a slope for every input, None
    for integers. ``inputs(rng, size, kind)`` makes about `size` parameters.
    """

    name: str
    inputs: Callable[[Rng, int, str], dict[str, Any]]
    forward: Callable[..., tuple[Any, Any]]
    backward: Callable[..., tuple[Any, ...]]
    bugs: tuple[Bug, ...]
    smooth: bool  # infinitely often differentiable, wherever the inputs lie

    def vjp(self, upstream: Any, *inputs: Any, bug: str = "") -> tuple[Any, ...]:
        """Run the back-pass without a cache, as ``backward(upstream, *inputs)``."""
        return self.backward(upstream, self.forward(*inputs)[1], bug=bug)


LAYERS: dict[str, Layer] = {}


def register(
    name: str,
    inputs: Any,
    forward: Any,
    backward: Any,
    *,
    bugs: tuple[Bug, ...],
    smooth: bool = True,
) -> None:
    """Put a layer into the zoo: name, inputs, forward, backward and its bugs."""
    assert name not in LAYERS, name
    LAYERS[name] = Layer(name, inputs, forward, backward, bugs, smooth)


def data(rng: Rng, shape: tuple[int, ...], kind: str) -> Any:
    """Return inputs of a kind: normal, with exact zeros (5 to 40 % of them), or with ties."""
    values = rng.normal(size=shape)
    if kind == "zeros":
        values[rng.random(shape) < rng.uniform(0.05, 0.4)] = 0
    return np.round(2 * values) if kind == "ties" else values


def floating(value: Any) -> bool:
    return bool(np.asarray(value).dtype.kind == "f")


@dataclass(frozen=True)
class Case:
    """A layer at one point, in one precision: a loss and its gradient, as `check_gradient` wants.

    `x0` is a dict of the floating-point inputs; integers (labels, masks) stay fixed. Where the
    output is not one number, the loss is ``sum(upstream * output)``.
    """

    layer: Layer
    precision: str
    kind: str
    size: str
    seed: int
    bug: str = ""

    def __reduce__(self) -> Any:
        """Send to other processes what the arrays are drawn from, and not the arrays."""
        return case, (
            self.layer.name,
            self.precision,
            self.kind,
            self.size,
            self.seed,
            self.bug,
        )

    @property
    def name(self) -> str:
        bug = f" ({self.bug})" if self.bug else ""
        return f"{self.layer.name}{bug}, {self.precision}, {self.kind}, {self.size}, {self.seed}"

    @cached_property
    def inputs(self) -> dict[str, Any]:
        number = zlib.crc32(f"{self.layer.name} {self.kind} {self.size}".encode())
        rng = np.random.default_rng([self.seed, number])
        given = self.layer.inputs(rng, SIZES[self.size], self.kind)
        if self.precision == "float64":
            return given
        outside = np.float32 if self.precision == "float32" else np.float64
        return {  # values that both precisions hold
            k: v.astype(np.float32).astype(outside) if floating(v) else v for k, v in given.items()
        }

    @cached_property
    def x0(self) -> dict[str, Any]:
        return {k: v for k, v in self.inputs.items() if floating(v)}

    @cached_property
    def parameters(self) -> int:
        return sum(v.size for v in self.x0.values())

    @cached_property
    def upstream(self) -> Any:
        """A random slope for every output; 1 where the output is the loss."""
        rng = np.random.default_rng([self.seed, 7])
        output = self.layer.forward(*self.inputs.values())[0]

        def one(value: Any) -> Any:
            slope = rng.normal(size=np.shape(value)) if np.ndim(value) else np.ones(())
            if self.precision == "float64":
                return slope
            return slope.astype(np.float32).astype(next(iter(self.x0.values())).dtype)

        return tuple(map(one, output)) if isinstance(output, tuple) else one(output)

    def inside(self, x: dict[str, Any]) -> list[Any]:
        """Return the inputs as the layer sees them: all, or only the first, kept in float32."""
        given = {**self.inputs, **x}
        if self.precision == "mixed":
            kept = x if self.seed % 2 == 0 else list(x)[:1]
            given |= {k: np.asarray(given[k], np.float32) for k in kept}
        return list(given.values())

    @property
    def args(self) -> tuple[Any, ...]:
        """Labels, masks and other integers: what the loss takes besides its parameters."""
        return tuple(v for v in self.inputs.values() if not floating(v))

    def fun(self, x: dict[str, Any], *args: Any) -> Any:
        output = self.layer.forward(*self.inside(x))[0]
        return total(self.upstream, output)

    def grad(self, x: dict[str, Any], *args: Any) -> dict[str, Any]:
        _, cache = self.layer.forward(*self.inside(x))
        slopes = self.layer.backward(self.upstream, cache, bug=self.bug)
        named = dict(zip(self.inputs, slopes, strict=True))
        return {k: np.asarray(named[k]).astype(v.dtype) for k, v in x.items()}

    @property
    def right(self) -> Case:
        return replace(self, bug="")

    @property
    def exact(self) -> Case:
        """The same layer at the same point, all in float64."""
        twin = replace(self, precision="float64")
        wide = {k: v.astype(float) if floating(v) else v for k, v in self.inputs.items()}
        twin.__dict__["inputs"] = wide
        up = self.upstream
        twin.__dict__["upstream"] = (
            tuple(u.astype(float) for u in up) if isinstance(up, tuple) else up.astype(float)
        )
        return twin


def case(name: str, *rest: Any) -> Case:
    return Case(LAYERS[name], *rest)


def total(upstream: Any, output: Any) -> Any:
    """Return sum(upstream * output), over all outputs where there are several."""
    if isinstance(output, tuple):
        terms = [np.sum(u * o) for u, o in zip(upstream, output, strict=True)]
        return sum(terms[1:], terms[0])
    return np.sum(upstream * output)


def cases(
    layers: Any = None,
    precisions: Any = PRECISIONS,
    kinds: Any = KINDS,
    sizes: Any = tuple(SIZES),
    seeds: Any = (0,),
) -> Iterator[Case]:
    """Yield a right case for each layer, precision, kind of input, size and seed."""
    chosen = list(LAYERS) if layers is None else layers
    for what, given, known in (
        ("layer", chosen, LAYERS),
        ("precision", precisions, PRECISIONS),
        ("kind", kinds, KINDS),
        ("size", sizes, SIZES),
    ):
        refuse_unknown(what, given, known)
    for seed in seeds:
        for name in chosen:
            for precision in precisions:
                for kind in kinds:
                    for size in sizes:
                        yield Case(LAYERS[name], precision, kind, size, seed)


def refuse_unknown(what: str, given: Any, known: Any) -> None:
    """Raise `ValueError` with the names that exist where one of `given` does not."""
    for name in given:
        if name not in known:
            raise ValueError(f"no {what} {name!r}; there are: {', '.join(known)}")
