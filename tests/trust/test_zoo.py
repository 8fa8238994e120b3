"""The zoo itself: right gradients are right, bugs are bugs, and unknown names are refused."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Finding

from .outcomes import PRECISIONS, array_of
from .zoo import KINDS, LAYERS, SIZES, Case, cases
from .zoo.__main__ import main
from .zoo.checks import told
from .zoo.truth import entry_bounds, gap, misses

EVERY = pytest.mark.parametrize("name", LAYERS)
EACH_KIND = pytest.mark.parametrize(
    ("kind", "size"), list(zip(KINDS, ("medium", "small", "small"), strict=True))
)


def test_there_are_enough_layers() -> None:
    assert len(LAYERS) >= 35
    assert all(len(layer.bugs) == 3 for layer in LAYERS.values())
    for layer in LAYERS.values():
        for bug in layer.bugs:
            assert bug.says
            assert all(isinstance(words, tuple) for words in (bug.says, bug.never)), bug


@EVERY
@EACH_KIND
def test_right_gradients_are_right_to_eight_digits(name: str, kind: str, size: str) -> None:
    case = Case(LAYERS[name], "float64", kind, size, 0)
    assert max(misses(case, entries=6).values()) < 1e-8


@EVERY
def test_right_gradients_in_float32_are_those_of_float64(name: str) -> None:
    for precision in ("float32", "mixed"):
        for seed in (0, 1):
            case = Case(LAYERS[name], precision, "ties", "small", seed)
            got, exact = case.grad(case.x0), case.exact.grad(case.exact.x0)
            largest = max(np.abs(g).max() for g in exact.values())
            assert all(np.abs(got[k] - g).max() < 2e-5 * largest for k, g in exact.items())
            assert {g.dtype for g in got.values()} == {v.dtype for v in case.x0.values()}
            loss = np.asarray(case.fun(case.x0))
            assert loss.dtype == (np.float32 if precision == "float32" else loss.dtype)
            assert np.float32(case.exact.fun(case.exact.x0)) == pytest.approx(loss, rel=1e-4)


@EVERY
@EACH_KIND
def test_bugs_are_bugs_where_they_are_said_to_be(name: str, kind: str, size: str) -> None:
    """And not only between the two slopes of a kink, nor only in the round-off."""
    case = Case(LAYERS[name], "float64", kind, size, 0)
    right = case.grad(case.x0)
    largest = max(np.abs(g).max() for g in right.values())
    for bug in case.layer.bugs:
        wrong = replace(case, bug=bug.name).grad(case.x0)
        apart = {k: np.abs(wrong[k] - g) for k, g in right.items()}
        changed = {k for k, gaps in apart.items() if gaps.max() > 0}
        assert changed == set(bug.wrong.split()), bug.name
        for array in changed:
            places = np.argsort(apart[array], axis=None)[:-13:-1]
            indices = [tuple(map(int, np.unravel_index(k, wrong[array].shape))) for k in places]
            assert any(
                gap(entry_bounds(case, array, i), float(wrong[array][i])) > 1e-5 * largest
                for i in indices
            ), (bug.name, array)


@EVERY
def test_sizes_and_kinds_are_what_they_say(name: str) -> None:
    for size, parameters in SIZES.items():
        case = Case(LAYERS[name], "float64", "normal", size, 0)
        assert 0.5 * parameters <= case.parameters <= 1.8 * parameters
    assert Case(LAYERS[name], "float64", "normal", "large", 0).parameters > 20_000
    kinds = {kind: Case(LAYERS[name], "float64", kind, "medium", 0).inputs for kind in KINDS}
    fed = {kind: list(inputs.values()) for kind, inputs in kinds.items()}
    assert any(not np.array_equal(a, b) for a, b in zip(fed["normal"], fed["ties"], strict=True))


def test_a_wrong_gradient_misses() -> None:
    case = Case(LAYERS["relu"], "float64", "ties", "small", 0)
    wrong = replace(case, bug="mask turned round")
    assert max(misses(wrong, entries=60).values()) > 0.1


def test_cases_travel_between_processes_without_their_arrays() -> None:
    case = Case(LAYERS["lstm"], "mixed", "zeros", "small", 3)
    copy = pickle.loads(pickle.dumps(case))
    assert copy == case
    assert np.array_equal(copy.x0["wx"], case.x0["wx"])
    assert len(pickle.dumps(case)) < 300


def test_back_passes_run_with_and_without_a_cache() -> None:
    for layer in LAYERS.values():
        case = Case(layer, "float64", "normal", "small", 0)
        inputs = list(case.inputs.values())
        with_cache = layer.backward(case.upstream, layer.forward(*inputs)[1])
        without = layer.vjp(case.upstream, *inputs)
        for given, a, b in zip(inputs, with_cache, without, strict=True):
            assert (a is None) == (b is None) == (given.dtype.kind != "f")
            assert a is None or np.array_equal(a, b)


@pytest.mark.parametrize(
    ("option", "known"),
    [
        ("--layers", "relu"),
        ("--precision", PRECISIONS[2]),
        ("--method", "directions"),
        ("--kinds", "ties"),
        ("--sizes", "medium"),
        ("--what", "planted"),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_exist(
    option: str, known: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([option, "rellu"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "'rellu'; there are: " in said
    assert known in said


def test_unknown_names_are_refused_in_python() -> None:
    with pytest.raises(ValueError, match="no layer 'rellu'; there are: relu"):
        list(cases(["rellu"]))


def test_the_command_prints_what_falls_short_and_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--layers", "affine", "--sizes", "small", "--seeds", "1", "--precision", "float64",
          "--processes", "1"])  # fmt: skip
    said = capsys.readouterr().out
    assert "float64 entries 3 of 3 0 0 0" in " ".join(said.split())
    assert "fall short" in said


def test_what_findings_tell_is_judged() -> None:
    bug = LAYERS["relu"].bugs[0]
    assert told([Finding("x", "loss ignores it", "n is 0", "a mask")], bug) == "cause"
    assert told([Finding("x", "unknown", "no bug fits", "")], bug) == "unknown"
    assert told([Finding("x[1]", "one row", "wrong", "")], bug) == "place"
    assert told([Finding("x", "batch size", "a / n = 3", "divide by N")], bug) == "false"
    assert array_of("a[0].b[2, 3]") == "a[0].b"
