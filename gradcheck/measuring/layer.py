"""A layer as the loss and the gradient that a check needs: its output times an upstream gradient.

For weights u like the output y, the slope of the number sum(u * y) by the inputs is what the
back-pass makes of u. So u is drawn at random, no two entries alike: where they are, a back-pass
that swaps or shifts them would go unseen. What it makes of u must be linear in u, too.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import numpy as np

from gradcheck.measuring.misuse import (
    a_kind,
    pair_of,
    refuse_chance,
    refuse_none,
    refuse_uncallable,
    short,
)
from gradcheck.measuring.noise import random_numbers
from gradcheck.measuring.parameters import Array, Parameters
from gradcheck.measuring.slopes import typical_sizes
from gradcheck.measuring.structures import converted, is_floating, leaves, rebuild

LARGE = -1000.0  # times an upstream gradient: what is clipped, squared or made positive shows
LINEAR = 0.01  # of the largest slope: what is off by less is left to the slopes of the loss


class WeightedOutput:
    """The loss sum(upstream * output) of the inputs, by name. It can be pickled."""

    def __init__(
        self, forward: Callable[..., Any], inputs: Mapping[str, Any], keywords: bool, cache: bool
    ) -> None:
        self.forward, self.keywords, self.cache = forward, keywords, cache
        self.frame = rebuild(inputs, repeat(None))  # their structure alone
        self.upstream: list[Array] = []

    def arguments(self, *arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs in their structure, which is new at each call."""
        by_name = {name: leaf for some in arrays for name, leaf in some.items()}
        found: dict[str, Any] = rebuild(self.frame, (by_name[n] for n, _ in leaves(self.frame)))
        return found

    def run(self, *arrays: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the output and, if there is one, the cache."""
        arguments = self.arguments(*arrays)
        returned = self.forward(**arguments) if self.keywords else self.forward(*arguments.values())
        refuse_none("forward", returned)
        if not self.cache:
            return returned, None
        parts = "the output, and what `backward(upstream, cache)` needs"
        return pair_of("forward", returned, "cache=True", parts)

    def __call__(self, *arrays: Mapping[str, Any]) -> Any:
        """Return the loss."""
        outputs = floats_of(self.run(*arrays)[0]).values()
        return sum(np.sum(u * y) for u, y in zip(self.upstream, outputs, strict=True))


class Layer:
    """A function of arrays that returns arrays, with its back-pass, at one point.

    Attributes
    ----------
    loss : the number whose slopes are those that `backward` claims.
    parameters : the inputs that are checked, by name.
    passed_on : the others; `left_out` those of them whose slopes are None.
    slopes : what `backward` claims, flat, in the order of `parameters`.
    growth : of arrays that are not linear in the upstream gradient, how many times as large their
        slopes are where that is `LARGE` times as large; NaN where it is no one number.
    nfev : calls of `forward` so far.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: Any,
        *,
        cache: bool,
        dtype: Any,
        rng: Any,
    ) -> None:
        named, keywords = _named(forward, inputs), isinstance(inputs, Mapping)
        self.loss = WeightedOutput(forward, named, keywords, cache)
        self.backward, self.nfev, self.left_out = backward, 0, list[str]()
        arrays = dict(leaves(named))
        checked = {name: leaf for name, leaf in arrays.items() if is_floating(leaf)}
        if not checked:
            raise TypeError(
                "`inputs` holds no array of floats, so there is nothing to check: pass those that "
                "`backward` returns slopes for as arrays of floats."
            )
        self.parameters = Parameters(checked, dtype=dtype)
        self.passed_on = converted({n: a for n, a in arrays.items() if n not in checked}, dtype)
        self.sloped = [top for top in named if any(_within(name, top) for name in checked)]
        self.numbers = [n for n, a in self.passed_on.items() if isinstance(a, float)]
        self.forward()
        _refuse_output(self.output)
        _refuse_call("backward", backward, named, keywords, cache)
        generator = random_numbers(rng)
        outputs = floats_of(self.output).values()
        other, upstream = ([random_upstream(generator, y) for y in outputs] for _ in range(2))
        self.loss.upstream = upstream
        others, self.slopes = self.back(other), self.back(upstream)
        self.growth = self._growth(other, others)

    def forward(self, arrays: Any = None) -> list[Array]:
        """Run the layer, and keep what the back-pass needs; return its outputs."""
        self.nfev += 1
        arrays = self.parameters.tree if arrays is None else arrays
        self.output, self.cache = self.loss.run(arrays, self.passed_on)
        self.fresh = True
        self.parameters.refuse_changed("forward")
        return list(floats_of(self.output).values())

    def back(self, upstream: Sequence[Array], *, anew: bool = True) -> list[Array]:
        """Return what the back-pass makes of an upstream gradient; if `anew`, of a new cache."""
        if self.loss.cache and anew and not self.fresh:
            self.forward()
        self.fresh = False
        given = [u.copy() for u in upstream]
        try:
            returned = self._call_backward(given)
        except Exception:
            if anew or not self.loss.cache:
                raise
            return self.back(upstream)  # a cache may serve once only, as PyTorch's graphs do
        if not all(map(np.array_equal, given, upstream)):
            raise ValueError(
                "`backward` changes the upstream gradient in place: let it work on a copy, for "
                "that array belongs to the layer above."
            )
        self.parameters.refuse_changed("backward")
        slopes = self._by_name(returned)
        return self.parameters.match(slopes, "backward")

    def _call_backward(self, upstream: Sequence[Array]) -> Any:
        floating, ordered = floats_of(self.output), iter(upstream)
        names = [name for name, _ in leaves(self.output)]
        tree = rebuild(self.output, (next(ordered) if n in floating else None for n in names))
        if self.loss.cache:
            return self.backward(tree, self.cache)
        arguments = self.loss.arguments(self.parameters.tree, self.passed_on)
        if self.loss.keywords:
            return self.backward(tree, **arguments)
        return self.backward(tree, *arguments.values())

    def _by_name(self, returned: Any) -> dict[str, Any]:
        """Sort what `backward` returned by the names of the arrays; None leaves one unchecked."""
        slopes, tree = self._by_input(returned), self.parameters.tree
        none = [top for top, slope in slopes.items() if slope is None]
        if len(none) == len(slopes):
            refuse_none("backward", None)
        known = tree | self.passed_on
        checked = {
            name: known[name]
            for name, _ in leaves(self.loss.frame)
            if (name in tree and not any(_within(name, top) for top in none))
            or (name in self.numbers and slopes.get(name) is not None)
        }
        if list(checked) != list(tree):
            self.left_out = [name for name in tree if name not in checked]
            self.passed_on = {name: known[name] for name in known if name not in checked}
            self.parameters = Parameters(checked)
        found: dict[str, Any] = {}
        for top, slope in slopes.items():
            found |= {top: slope} if top in checked else dict(leaves({top: slope}))
        return {name: slope for name, slope in found.items() if name not in self.passed_on}

    def _by_input(self, returned: Any) -> dict[str, Any]:
        """Return the slopes by input, of those that hold floats."""
        frame, tops = list(self.loss.frame), self.sloped
        if self.loss.keywords and isinstance(returned, Mapping):
            return {t: s for t, s in returned.items() if t in tops + self.numbers or t not in frame}
        several = isinstance(returned, (tuple, list))
        slopes = list(returned) if several else [returned]
        if len(tops) == 1 and len(slopes) not in (1, len(frame)):
            slopes = [returned]  # for one input, which is a tuple itself or a row of numbers
        fits = len(slopes) in (len(tops), len(frame))
        if not fits or (self.loss.keywords and len(tops) > 1):
            what = a_kind(returned)
            if several and not self.loss.keywords:
                what = f"{len(slopes)} slope{'s' * (len(slopes) > 1)}"
            what = "None" if returned is None else what
            form = "a dict with these keys" if self.loss.keywords else "one for each, in this order"
            raise ValueError(
                f"`backward` returned {what}, but {len(tops)} inputs hold floats, "
                f"{', '.join(tops)}: return {form}; None for one that is not to be checked."
            )
        names = frame if len(slopes) == len(frame) else tops
        return {t: s for t, s in zip(names, slopes, strict=True) if t in tops + self.numbers}

    # ---------------------------------------------------------------- linear in the upstream?

    def _growth(self, other: Sequence[Array], others: Sequence[Array]) -> dict[str, float]:
        """Look at the back-pass of a large sum of two upstream gradients."""
        upstream, slopes = self.loss.upstream, self.slopes
        found = self.back([LARGE * (u + v) for u, v in zip(upstream, other, strict=True)])
        expected = [LARGE * (a + b) for a, b in zip(slopes, others, strict=True)]
        bent = self._differing(found, expected, LARGE)
        if not bent:
            return {}
        again = zip(self.parameters.names, self.back(upstream), slopes, strict=True)
        for name, a, b in again:
            refuse_chance("backward", a, b, float(np.finfo(a.dtype).eps), lambda _, n=name: n)
        large = [LARGE * u for u in upstream]
        scaled, growth = self.back(large), {}
        for name in bent:
            k = self.parameters.names.index(name)
            with np.errstate(all="ignore"):
                ratios = (scaled[k] / slopes[k])[slopes[k] != 0]
                ratio = float(np.median(ratios)) if ratios.size else math.nan
                steady = np.abs(ratios - ratio) <= LINEAR * abs(ratio)
            growth[name] = ratio if np.mean(steady) > 0.9 else math.nan
        if any(map(math.isnan, growth.values())):
            self.loss.upstream, self.slopes = large, scaled  # where it shows in the slopes
        return growth

    def _differing(
        self, slopes: Sequence[Array], expected: Sequence[Array], factor: float
    ) -> list[str]:
        """Return the names of the arrays in which slopes differ by more than their rounding."""
        outputs = list(floats_of(self.output).values())
        x0 = self.parameters.x0
        eps = max(float(np.finfo(a.dtype).eps) for a in [*outputs, *x0, *slopes])
        change = math.hypot(*(float(np.linalg.norm(y)) for y in outputs)) * abs(factor)
        differing = []
        for name, x, a, b in zip(self.parameters.names, x0, slopes, expected, strict=True):
            # A slope that is 0 by nature is rounding, as large as that of the output.
            rounding = max(1e-6, 10 * eps) * change / float(np.median(typical_sizes(x)))
            with np.errstate(invalid="ignore", over="ignore"):
                room = LINEAR * np.max(np.abs(b), initial=0.0) + rounding
                if np.any(np.abs(a - b) > room):
                    differing.append(name)
        return differing


def random_upstream(generator: np.random.Generator, like: Array) -> Array:
    """Draw weights of either sign and of size 0.5 to 1.5, no two of one size."""
    places = generator.permutation(like.size) + generator.random(like.size)
    weights = np.copysign(0.5 + places / max(like.size, 1), generator.uniform(-1, 1, like.size))
    return weights.reshape(like.shape).astype(like.dtype)


def floats_of(output: Any) -> dict[str, Array]:
    """Return the floating-point arrays of an output, whatever made them, by name."""
    found = {name: np.asarray(leaf) for name, leaf in leaves(output)}
    return {name: y for name, y in found.items() if np.issubdtype(y.dtype, np.floating)}


def _within(name: str, top: str) -> bool:
    """Whether an array is an input, or lies in it."""
    return name == top or name.startswith((f"{top}.", f"{top}["))


def _named(forward: Any, inputs: Any) -> dict[str, Any]:
    """Return the inputs by the names that `forward` gives them."""
    if isinstance(inputs, Mapping):
        _refuse_call("forward", forward, inputs, True, False)
        return dict(inputs)
    values = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    numbered = {f"[{i}]": value for i, value in enumerate(values)}
    _refuse_call("forward", forward, numbered, False, False)
    try:
        known = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):  # not every function has one
        return numbered
    by_place = [p.name for p in known if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [*by_place, *list(numbered)[len(by_place) :]]
    return dict(zip(names, values, strict=False))


def _refuse_call(
    called: str, function: Any, inputs: Mapping[str, Any], keywords: bool, cache: bool
) -> None:
    """Say what does not fit where a function cannot be called as it will be."""
    refuse_uncallable(called, function)
    first = ["upstream"] if called == "backward" else []
    given = [*first, "cache"] if cache else first
    try:
        signature = inspect.signature(function)
        if cache or not keywords:
            signature.bind(*given, *([] if cache else inputs))
        else:
            signature.bind(*given, **inputs)
    except ValueError:
        return
    except TypeError as error:
        shown = f"{called}({', '.join(given if cache else [*given, *inputs])})"
        advice = "pass in `inputs` what it takes, in its order."
        if called == "backward":
            advice = "if it takes a cache, and `forward` returns one, pass `cache=True`."
            advice = "that is what `cache=True` means." if cache else advice
        raise TypeError(f"`{called}` cannot be called as {shown} ({error}): {advice}") from error


def _refuse_output(output: Any) -> None:
    """Make sure that an output has slopes."""
    if not isinstance(output, (Mapping, list, tuple)) and np.ndim(output) == 0:
        raise TypeError(
            f"`forward` returned {short(output)}, no array: a function that returns one number is "
            "checked by `check_gradient(fun, grad, x0)`."
        )
    found = floats_of(output)
    if not found:
        kinds = {str(np.asarray(leaf).dtype) for _, leaf in leaves(output)}
        raise TypeError(
            f"`forward` returned {' and '.join(kinds) or 'nothing'}, no array of real floats: "
            "there is no slope."
        )
    for name, y in found.items():
        if not np.all(np.isfinite(y)):
            place = f" at {name}" if name else ""
            raise ValueError(
                f"`forward` returned NaN or infinity{place}: a slope needs finite outputs."
            )


WORDS = {
    "`fun`": "`forward`",
    "`grad`": "`backward`",
    "`x0`": "`inputs`",
    "`args[0].": "`",
    "`args`": "`inputs`",
    "keys and nesting.": "keys and nesting; None for one that is not to be checked.",
}


@contextmanager
def in_the_words_of_a_layer() -> Iterator[None]:
    """Say `forward`, `backward` and `inputs` in messages about the loss that is made of them."""

    def translated(text: Any) -> Any:
        if isinstance(text, str):
            for word, other in WORDS.items():
                text = text.replace(word, other)
        return text

    try:
        yield
    except Exception as error:
        error.args = tuple(map(translated, error.args))
        if notes := getattr(error, "__notes__", None):
            notes[:] = map(translated, notes)
        raise
