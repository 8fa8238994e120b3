"""Whatever the shapes, precision, nesting and scales: right passes, one wrong entry is named."""

from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from gradcheck import check_gradient

# How the arrays are put together, and what each is then called.
NESTINGS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "bare": (lambda a: a[0], ("",)),
    "dict": (lambda a: {"W": a[0], "b": a[1]}, ("W", "b")),
    "list": (lambda a: [a[0], a[1]], ("[0]", "[1]")),
    "tuple in dict": (lambda a: {"layer": (a[0], a[1])}, ("layer[0]", "layer[1]")),
    "deep": (
        lambda a: {"layers": [{"W": a[0]}, {"W": a[1], "b": a[2]}]},
        ("layers[0].W", "layers[1].W", "layers[1].b"),
    ),
}


def arrays_of(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        return [array for branch in tree for array in arrays_of(branch)]
    return [tree]


@st.composite
def problems(draw: st.DrawFn) -> tuple[Any, Any, Any, list[str], np.dtype[Any]]:
    """Draw (fun, right gradient as arrays, nest, names, dtype) of a smooth loss."""
    nest, names = NESTINGS[draw(st.sampled_from(sorted(NESTINGS)))]
    dtype = np.dtype(draw(st.sampled_from([np.float64, np.float32])))
    shapes = [draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4)) for _ in names]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    factor = 10.0 ** draw(st.integers(-6, 8))
    sizes = [10.0 ** draw(st.integers(-6, 6)) for _ in names]
    # Arrays even of dimension 0, for a list of bare numbers would be one array.
    drawn = [s * rng.normal(size=shape) for s, shape in zip(sizes, shapes, strict=True)]
    x = [np.asarray(a, dtype) for a in drawn]
    weights = [rng.uniform(0.5, 2, size=shape).astype(dtype) for shape in shapes]
    parts = list(zip(weights, sizes, strict=True))

    def fun(tree: Any) -> Any:
        each = zip(arrays_of(tree), parts, strict=True)
        return factor * sum(np.sum(w * np.tanh(a / s + w)) for a, (w, s) in each)

    def grad(tree: Any) -> Any:
        each = zip(arrays_of(tree), parts, strict=True)
        return nest(
            [np.asarray(factor * w / s / np.cosh(a / s + w) ** 2, dtype) for a, (w, s) in each]
        )

    return fun, grad, nest(x), list(names), dtype


@settings(max_examples=80, deadline=None, derandomize=True)
@given(problems())
def test_a_right_gradient_passes(problem: Any) -> None:
    fun, grad, x0, names, dtype = problem
    report = check_gradient(fun, grad, x0)
    assert report.passed, report.wrong + report.unresolved
    assert list(report.resolution) == names
    assert {a.dtype for a in arrays_of(x0)} == {dtype}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(problems(), st.data())
def test_one_wrong_entry_is_found_by_name(problem: Any, data: st.DataObject) -> None:
    fun, grad, x0, names, dtype = problem
    wrong = grad(x0)
    k = data.draw(st.integers(0, len(names) - 1))
    array = arrays_of(wrong)[k]
    index = np.unravel_index(int(np.argmax(np.abs(array))), array.shape)
    array[index] *= 1.5 if dtype == np.float32 else 1.001
    where = f"[{', '.join(str(i) for i in index)}]" if array.shape else ""
    report = check_gradient(fun, wrong, x0)
    # In float32 the array may matter too little to the loss; the report then says so.
    if dtype == np.float64 or report.resolution[names[k]] < 0.5:
        assert [entry.name for entry in report.wrong] == [names[k] + where or "x"]
        assert not report.passed
    else:
        assert not report.unresolved
