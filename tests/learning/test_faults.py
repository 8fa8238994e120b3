from typing import Any

import numpy as np
import pytest

from gradcheck.learning import linear_model, neural_network
from gradcheck.learning.faults import CATALOGUE, MODELS, Fault, find

SIGNATURES = {
    "sign",
    "factor",
    "batch size",
    "never written",
    "transposed",
    "permuted",
    "L2 term",
    "layer",
    "one entry",
    "one row",
    "one column",
}
EQUAL = [(4, 4, 4), (3, 3, 3, 3)]
UNEQUAL = [(5, 4, 3), (5, 7, 4, 3)]
SAMPLES = 12

Arrays = dict[str, Any]


def arguments(fault: Fault, sizes: tuple[int, ...], dtype: Any = np.float64) -> tuple[Any, ...]:
    """A point where no parameter is zero, and data."""
    rng = np.random.default_rng(5)
    if fault.model == "linear":
        X = linear_model.with_bias(rng.normal(size=(SAMPLES, sizes[0])))
        args = (rng.normal(size=1 + sizes[0]), X, rng.normal(size=SAMPLES))
        return tuple(array.astype(dtype) for array in args)
    params = neural_network.initial_parameters(sizes, rng)
    params = {name: array + rng.normal(size=array.shape) / 3 for name, array in params.items()}
    params = {name: array.astype(dtype) for name, array in params.items()}
    X = rng.normal(size=(SAMPLES, sizes[0])).astype(dtype)
    if fault.needs.get("output") == "linear":
        return params, X, rng.normal(size=(SAMPLES, sizes[-1])).astype(dtype)
    return params, X, rng.integers(0, sizes[-1], SAMPLES)


def arrays(gradient: Any) -> Arrays:
    return gradient if isinstance(gradient, dict) else {"w": gradient}


def planted(
    name: str, sizes: tuple[int, ...] = (4, 4, 4)
) -> tuple[Arrays, Arrays, tuple[Any, ...]]:
    """Return the wrong and the right gradient, each as a dict, and the arguments."""
    fault = find(name)
    args = arguments(fault, sizes)
    right = MODELS[fault.model].gradient(*args, **fault.needs)
    return arrays(fault.gradient(*args, **fault.needs)), arrays(right), args


CASES = [
    pytest.param(fault, sizes, id=f"{fault.name}-{sizes}")
    for fault in CATALOGUE
    for sizes in (EQUAL if fault.square else EQUAL + UNEQUAL)
]


@pytest.mark.parametrize(("fault", "sizes"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_fault_is_wrong_in_values_and_right_in_shape(
    fault: Fault, sizes: tuple[int, ...], dtype: Any
) -> None:
    args = arguments(fault, sizes, dtype)
    right = arrays(MODELS[fault.model].gradient(*args, **fault.needs))
    wrong = arrays(fault.gradient(*args, **fault.needs))
    assert {name: array.shape for name, array in wrong.items()} == {
        name: array.shape for name, array in right.items()
    }
    assert {array.dtype for array in wrong.values()} == {np.dtype(dtype)}
    deviation = max(
        np.abs(wrong[name] - right[name]).max() / np.abs(right[name]).max() for name in right
    )
    assert deviation > 1e-3


@pytest.mark.parametrize(("fault", "sizes"), CASES)
def test_no_fault_changes_its_input(fault: Fault, sizes: tuple[int, ...]) -> None:
    args = arguments(fault, sizes)
    leaves = [a for arg in args for a in (arg.values() if isinstance(arg, dict) else [arg])]
    before = [leaf.copy() for leaf in leaves]
    fault.gradient(*args, **fault.needs)
    for leaf, copy in zip(leaves, before, strict=True):
        np.testing.assert_array_equal(leaf, copy)


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.name)
def test_the_right_line_in_place_of_itself_gives_the_right_gradient(fault: Fault) -> None:
    harmless = Fault(
        name="none", model=fault.model, right=fault.right, wrong=fault.right, why="Nothing is off."
    )
    args = arguments(fault, (4, 4, 4))
    right = arrays(MODELS[fault.model].gradient(*args, **fault.needs))
    same = arrays(harmless.gradient(*args, **fault.needs))
    for name, array in right.items():
        np.testing.assert_array_equal(same[name], array)


def test_a_fault_leaves_the_model_itself_right() -> None:
    args = arguments(find("batch mean forgotten"), (4, 4, 4))
    before = neural_network.gradient(*args)
    find("batch mean forgotten").gradient(*args)
    np.testing.assert_array_equal(neural_network.gradient(*args)["W1"], before["W1"])


def test_the_catalogue_is_large_and_well_formed() -> None:
    assert len(CATALOGUE) >= 28
    assert len({fault.name for fault in CATALOGUE}) == len(CATALOGUE)
    assert len({(fault.right, fault.wrong) for fault in CATALOGUE}) == len(CATALOGUE)
    assert {fault.signature for fault in CATALOGUE} == SIGNATURES | {None}
    assert all(fault.why.endswith(".") for fault in CATALOGUE)


@pytest.mark.parametrize(("line", "count"), [("y_hat = predict(w, X)", 2), ("no such line", 0)])
def test_refuses_a_line_that_does_not_stand_there_once(line: str, count: int) -> None:
    fault = Fault(name="unclear", model="linear", right=line, wrong="pass", why="It is not.")
    with pytest.raises(ValueError, match=f"`right` is .* stands {count} times"):
        fault.gradient  # noqa: B018  reading the property is what raises


def test_refuses_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="`name` is 'no such bug': choose one of"):
        find("no such bug")


@pytest.mark.parametrize("sizes", EQUAL + UNEQUAL)
def test_old_activations_spoil_all_weights_but_the_first(sizes: tuple[int, ...]) -> None:
    wrong, right, _ = planted("activations of the step before", sizes)
    assert wrong_arrays(wrong, right) == [name for name in right if name[0] == "W"][1:]


# Does each fault have the signature that the catalogue claims?


def named(signature: str) -> pytest.MarkDecorator:
    names = [fault.name for fault in CATALOGUE if fault.signature == signature]
    assert names
    return pytest.mark.parametrize("name", names)


def wrong_arrays(wrong: Arrays, right: Arrays) -> list[str]:
    return [name for name in right if not np.allclose(wrong[name], right[name], rtol=1e-9)]


@named("sign")
def test_sign(name: str) -> None:
    wrong, right, _ = planted(name)
    for array in right:
        np.testing.assert_allclose(wrong[array], -right[array], rtol=1e-12)


@named("factor")
def test_factor(name: str) -> None:
    wrong, right, _ = planted(name)
    for array in right:
        np.testing.assert_allclose(wrong[array], 2 * right[array], rtol=1e-12)


@named("batch size")
def test_batch_size(name: str) -> None:
    wrong, right, _ = planted(name)
    assert wrong_arrays(wrong, right)
    for array in wrong_arrays(wrong, right):
        ratio = (wrong[array] / right[array]).flat[0]
        assert ratio == pytest.approx(SAMPLES) or ratio == pytest.approx(1 / SAMPLES)
        np.testing.assert_allclose(wrong[array], ratio * right[array], rtol=1e-9)


@named("never written")
def test_never_written(name: str) -> None:
    wrong, right, _ = planted(name)
    for array in right:
        off = ~np.isclose(wrong[array], right[array], rtol=1e-9, atol=0)
        assert not wrong[array][off].any()


@named("transposed")
def test_transposed(name: str) -> None:
    wrong, right, _ = planted(name)
    assert wrong_arrays(wrong, right) == ["W1", "W2"]
    for array in ("W1", "W2"):
        np.testing.assert_allclose(wrong[array], right[array].T, rtol=1e-9)


@named("permuted")
def test_permuted(name: str) -> None:
    wrong, right, _ = planted(name)
    for array in wrong_arrays(wrong, right):
        rows, found = right[array].tolist(), wrong[array].tolist()
        np.testing.assert_allclose(sorted(found), sorted(rows), rtol=1e-9)


@named("L2 term")
def test_l2_term(name: str) -> None:
    wrong, right, (params, *_) = planted(name)
    for array in wrong_arrays(wrong, right):
        ratio = (right[array] - wrong[array]) / params[array]
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-9)


@named("layer")
@pytest.mark.parametrize("sizes", EQUAL)
def test_layer(name: str, sizes: tuple[int, ...]) -> None:
    wrong, right, _ = planted(name, sizes)
    assert wrong_arrays(wrong, right) == list(right)[:-2]


@named("one entry")
def test_one_entry(name: str) -> None:
    wrong, right, _ = planted(name)
    assert sum((wrong[a] != right[a]).sum() for a in right) == 1


@named("one row")
def test_one_row(name: str) -> None:
    wrong, right, _ = planted(name)
    for array in wrong_arrays(wrong, right):
        assert (wrong[array] != right[array]).any(axis=1).sum() == 1


@named("one column")
def test_one_column(name: str) -> None:
    wrong, right, _ = planted(name)
    for array in wrong_arrays(wrong, right):
        assert (wrong[array] != right[array]).any(axis=0).sum() == 1
