"""What the pattern of right and wrong arrays tells, and that nothing makes it raise."""

from typing import Any

import numpy as np
import pytest

from gradcheck.checking.diagnosis import ArrayCheck, diagnose
from gradcheck.learning.faults import CATALOGUE, find
from tests.checking.test_hypotheses import noise, seen
from tests.trust.confusion import plants

SHAPES = {"W1": (5, 4), "b1": (4,), "W2": (4, 6), "b2": (6,), "W3": (6, 3), "b3": (3,)}
N = {name: noise(shape, i) for i, (name, shape) in enumerate(SHAPES.items())}
X = {name: noise(shape, i + 50) for i, (name, shape) in enumerate(SHAPES.items())}


def network(**wrong: Any) -> list[ArrayCheck]:
    """Return a network of three layers; the arrays named have the wrong values given."""
    return [seen(N[name], wrong.get(name, N[name]), X[name], name) for name in SHAPES]


def random(*names: str) -> dict[str, Any]:
    return {name: noise(SHAPES[name], i + 99) for i, name in enumerate(names)}


def told(arrays: list[ArrayCheck], sizes: tuple[int, ...] = ()) -> list[tuple[str, str]]:
    return [(finding.where, finding.bug) for finding in diagnose(arrays, sizes)]


def test_nothing_wrong_no_finding() -> None:
    assert diagnose(network()) == ()
    assert diagnose([]) == ()


def test_same_bug_in_every_array_is_said_once() -> None:
    assert told(network(**{name: -n for name, n in N.items()})) == [("every array", "sign")]
    mean = {name: n / 47 for name, n in N.items()}
    assert told(network(**mean), (47,)) == [("every array", "batch size")]


def test_same_bug_in_several_arrays_is_said_once() -> None:
    biases = {name: 0 * N[name] for name in ("b1", "b2", "b3")}
    assert told(network(**biases)) == [("b1, b2, b3", "never written")]
    no_l2 = {name: N[name] - 0.1 * X[name] for name in ("W1", "W2", "W3")}
    assert told(network(**no_l2)) == [("W1, W2, W3", "L2 term")]
    turned = {name: N[name][::-1] for name in ("W1", "W2")}
    assert told(network(**turned)) == [("W2, W1", "permuted")]


def test_sign_of_all_beside_an_l2_term_that_spares_the_biases() -> None:
    arrays = [
        seen(n + 0.1 * X[name] * (n.ndim > 1), -n + 0.1 * X[name] * (n.ndim > 1), X[name], name)
        for name, n in N.items()
    ]
    assert told(arrays) == [("every array", "sign")]


def test_two_bugs_are_two_findings() -> None:
    found = told(network(W1=-N["W1"], b3=0 * N["b3"]))
    assert found == [("b3", "never written"), ("W1", "sign")]


def test_wrong_from_one_layer_down() -> None:
    (finding,) = diagnose(network(**random("W1", "b1", "W2", "b2")))
    assert finding.bug == "layer"
    assert finding.where == "W1, b1, W2, b2"
    assert "right: W3, b3" in finding.evidence
    assert "b2 is the first that is wrong" in finding.look_at
    assert "between W3 and b2" in finding.look_at


def test_layer_whatever_the_order_of_the_dict() -> None:
    arrays = sorted(network(**random("W1", "b1")), key=lambda check: check.name)
    assert [check.name for check in arrays] == ["W1", "W2", "W3", "b1", "b2", "b3"]
    assert told(arrays) == [("W1, b1", "layer")]


def test_layer_where_each_layer_is_a_list() -> None:
    names = [f"{layer}[{i}]" for layer in ("first", "middle", "last") for i in (0, 1)]
    arrays = network(**random("W1", "b1"))
    arrays = [check._replace(name=name) for check, name in zip(arrays, names, strict=True)]
    assert told(arrays) == [("first[0], first[1]", "layer")]


def test_layer_beside_a_bug_that_is_explained() -> None:
    found = told(network(**random("W1", "b1"), b3=0 * N["b3"]))
    assert ("b3", "never written") in found
    assert "layer" not in [bug for _, bug in found]  # b3 does not show that what follows is right


def test_layer_is_not_said_of_arrays_in_the_middle() -> None:
    assert "layer" not in [bug for _, bug in told(network(**random("W2", "b2")))]


def test_layer_is_not_said_where_every_array_is_wrong() -> None:
    (finding,) = diagnose(network(**random(*SHAPES)))
    assert finding[:2] == ("every array", "unknown")
    assert "back-pass starts" in finding.look_at


def test_dead_layers_below_do_not_hide_the_pattern() -> None:
    arrays = network(**random("W2", "b2"))
    arrays[:2] = [seen(0 * N[name], 0 * N[name], X[name], name) for name in ("W1", "b1")]
    assert told(arrays) == [("W2, b2", "layer")]


def test_weights_wrong_and_their_bias_right() -> None:
    assert told(network(**random("W2"))) == [("W2", "weights only")]
    assert told(network(**random("W2", "W3"))) == [("W2, W3", "weights only")]


def test_one_example_left_out_shows_as_an_outer_product() -> None:
    a = N["W2"] + np.outer(noise((4,), 1), noise((6,), 2))
    (finding,) = diagnose(network(W2=a))
    assert "outer product" in finding.evidence
    (finding,) = diagnose(network(**random("W2")))
    assert "outer product" not in finding.evidence


def test_bias_wrong_and_its_weights_right() -> None:
    assert told(network(**random("b1", "b2", "b3"))) == [("b1, b2, b3", "biases only")]


def test_one_row_one_column_one_entry() -> None:
    row, column, entry = (N["W2"].copy() for _ in range(3))
    row[2] = noise((6,), 7)
    column[:, 5] = noise((4,), 8)
    entry[2, 5] += 0.3
    assert told(network(W2=row)) == [("W2[2, :]", "one row")]
    assert told(network(W2=column)) == [("W2[:, 5]", "one column")]
    assert told(network(W2=entry)) == [("W2[2, 5]", "one entry")]


def test_ratio_of_one_entry_is_said_only_if_it_has_a_meaning() -> None:
    for factor, said in ((-1, True), (2, True), (1.37, False)):
        a = N["W2"].copy()
        a[2, 5] *= factor
        (finding,) = diagnose(network(W2=a))
        assert finding.bug == "one entry"
        assert ("a / n" in finding.evidence) == said


def test_two_wrong_entries_of_a_long_row_are_not_the_row() -> None:
    a = N["W2"].copy()
    a[2, :2] += 0.3, 0.4
    assert told(network(W2=a)) == [("W2", "weights only")]


def test_one_live_row_is_not_one_row() -> None:
    n = 0 * N["W2"]
    n[1] = noise((6,), 3)
    (finding,) = diagnose([seen(n, -n, X["W2"])])
    assert finding.bug == "sign"


def test_not_finite() -> None:
    a = N["W1"].copy()
    a[0, 0], a[1, 1] = np.nan, np.inf
    (finding,) = diagnose(network(W1=a, W2=np.full((4, 6), np.nan)))
    assert finding[:2] == ("W1, W2", "not finite")
    assert "2 of 20, 24 of 24" in finding.evidence
    assert "W2 is the first" in finding.look_at


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, np.inf, -np.inf, 1e300, 5e-324])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (1, 1), (3,), (2, 3), (3, 0), (2, 2, 2)])
def test_weird_values_never_raise(value: float, shape: tuple[int, ...]) -> None:
    values = np.array([0.0, 1.0, -2.0, np.nan, np.inf, 1e300, -1e300, 5e-324, value])
    for seed in range(20):
        fields = np.random.default_rng(seed).choice(values, size=(4, *shape))
        for wrong in (True, False):
            check = ArrayCheck("", *fields, np.full(shape, wrong))
            diagnose([check, check._replace(name="W1")], (0, 1, 2, 5))
            diagnose([check._replace(x=np.full(shape, value)), check])


def test_low_precision_is_taken() -> None:
    check = seen(N["W1"], -N["W1"], X["W1"])
    for dtype in (np.float16, np.float32, np.longdouble):
        low = [field.astype(dtype) for field in check[1:5]]
        assert told([ArrayCheck("W1", *low, check.wrong)]) == [("W1", "sign")]


def test_what_a_search_did_not_reach_is_not_called_right() -> None:
    arrays = network(**random("W1", "b1", "W2"))
    not_reached = [check._replace(settled=False, numerical=np.nan * check.x) for check in arrays]
    assert told([*arrays[:3], not_reached[3], *arrays[4:]]) == [("W1, b1, W2", "layer")]
    assert "layer" not in [bug for _, bug in told([*arrays[:3], *not_reached[3:]])]


def test_few_wrong_entries_prove_little_where_the_search_stopped() -> None:
    turned = N["W2"].copy()
    turned[2, 5] *= -1
    check = seen(N["W2"], turned, X["W2"], "W2")
    numerical = np.where(np.arange(24).reshape(4, 6) % 2, check.numerical, np.nan)
    check = check._replace(numerical=numerical)
    assert told([check]) == [("W2[2, 5]", "one entry")]
    assert told([check._replace(settled=False)]) == [("W2", "unknown")]


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.name)
def test_catalogue(fault: Any) -> None:
    answers = [plant.check() for plant in list(plants(fault, seed=1))[::3]]
    assert all(answer.findings for answer in answers)
    assert [answer.false for answer in answers if answer.false] == []
    if fault.signature:  # a dead ReLU can leave less of it to see
        assert np.mean([answer.named for answer in answers]) > 0.8


@pytest.mark.parametrize(
    "name", ["activation's derivative missing", "rows in reverse order", "L2 on biases too"]
)
def test_after_directions(name: str) -> None:
    for plant in plants(find(name), 0, "directions"):
        answer = plant.check("directions")
        assert answer.named, (plant.setting, answer.findings)
        assert not answer.false, (plant.setting, answer.findings)
