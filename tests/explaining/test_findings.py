"""What the pattern of right and wrong arrays tells, and that nothing makes it raise."""

from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient
from gradcheck.explaining.evidence import ArrayCheck
from gradcheck.explaining.findings import diagnose
from gradcheck.learning import neural_network
from gradcheck.learning.faults import CATALOGUE, find
from tests.explaining.test_hypotheses import noise, seen
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
    assert "between W3 and b2, which is the first that is wrong" in finding.look_at


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
    assert "the slope of the loss by the output" in finding.look_at


def test_every_array_is_not_said_where_one_was_not_seen() -> None:
    arrays = network(**random("W1", "b1", "W2", "b2"))
    arrays[4:] = [c._replace(settled=False, numerical=np.nan * c.x) for c in arrays[4:]]
    assert told(arrays) == [("W1, b1, W2, b2", "unknown")]


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
    (finding,) = diagnose(network(W2=a))
    assert finding[:3] == ("W2[2:3, 0:2]", "block", "wrong in 2 of 24 entries")
    a = N["W2"].copy()
    a[2, [0, 3]] += 0.3, 0.4
    (finding,) = diagnose(network(W2=a))
    assert finding[:2] == ("W2", "some entries")
    assert "wrong in 2 of 24 entries: [2, 0], [2, 3]" in finding.evidence


def test_row_is_not_told_apart_where_bars_could_hide_the_others() -> None:
    row = N["W2"].copy()
    row[2] *= 1.1
    check = seen(N["W2"], row, X["W2"], "W2")
    assert told([check]) == [("W2[2, :]", "one row")]
    hidden = np.where(np.arange(4)[:, None] == 2, 1e-10, 1.0) * np.ones((4, 6))
    assert told([check._replace(error=hidden)]) != [("W2[2, :]", "one row")]


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
        x, a, n, error = np.random.default_rng(seed).choice(values, size=(4, *shape))
        for wrong in (True, False):
            check = ArrayCheck("", x, a, n, error, np.full(shape, wrong))
            diagnose([check, check._replace(name="W1")], (0, 1, 2, 5))
            diagnose([check._replace(x=np.full(shape, value)), check])


def test_low_precision_is_taken() -> None:
    check = seen(N["W1"], -N["W1"], X["W1"])
    for dtype in (np.float16, np.float32, np.longdouble):
        x, a, n, error = (field.astype(dtype) for field in check[1:5])
        assert told([ArrayCheck("W1", x, a, n, error, check.wrong)]) == [("W1", "sign")]


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


# --- what is no layer -----------------------------------------------------------------------------


def arrays(wrong: str, **shapes: tuple[int, ...]) -> list[ArrayCheck]:
    """Return arrays of these shapes; those named in `wrong` have random values for a gradient."""
    checks = []
    for i, (name, shape) in enumerate(shapes.items()):
        n = noise(shape, i)
        a = noise(shape, i + 99) if name in wrong.split() else n
        checks.append(seen(n, a, noise(shape, i + 50), name))
    return checks


W, COLUMN = (5, 3), (3,)


@pytest.mark.parametrize(
    "shapes",
    [
        {"W": W, "beta": COLUMN, "gamma": COLUMN},
        {"W": W, "b1": COLUMN, "g1": COLUMN},
        {"W": W, "bn[0]": COLUMN, "bn[1]": COLUMN},
        {"W": W, "[1]": COLUMN, "[2]": COLUMN, "[3]": (3, 1)},
        {"W": W, "beta": COLUMN},
    ],
)
def test_normalisation_is_no_bias(shapes: dict[str, tuple[int, ...]]) -> None:
    (finding,) = diagnose(arrays("W", **shapes))
    assert finding[:2] == ("W", "these arrays only")
    assert f"right: {', '.join(list(shapes)[1:])}" in finding.evidence


def test_several_weights_share_a_bias() -> None:
    shapes = {"Wx": (3, 5), "Wh": (5, 5), "bh": (5,), "Wo": (5, 2), "bo": (2,)}
    assert told(arrays("Wh", **shapes)) == [("Wh", "weights only")]
    assert told(arrays("Wx", **shapes)) == [("Wx", "these arrays only")]  # whose bias, who knows?
    assert told(arrays("bh", **shapes)) == [("bh", "biases only")]
    assert told(arrays("Wx Wh bh", **shapes)) == [("Wx, Wh, bh", "these arrays only")]
    shapes = {"Wxh": (3, 5), "Whh": (5, 5), "bh": (5,), "Why": (5, 2), "by": (2,)}
    (finding,) = diagnose(arrays("Wxh Whh", **shapes))
    assert finding[:3] == ("Wxh, Whh", "weights only", "wrong: Wxh, Whh; right: bh")
    assert finding.look_at.startswith("if the bias is added straight to what the weights give")


@pytest.mark.parametrize(
    ("wrong", "shapes"),
    [
        ("mu log_sigma", {"mu": (4,), "log_sigma": (4,), "logits": COLUMN}),
        ("gamma beta", {"gamma": COLUMN, "beta": COLUMN, "Wq": (3, 3), "Wo": (3, 3)}),
        ("gamma beta", {"gamma": COLUMN, "beta": COLUMN, "W1": (3, 4), "b1": (4,)}),
        ("Wx Wh", {"Wx": W, "Wh": (3, 3), "bh": COLUMN, "h0": COLUMN, "Wo": (3, 2), "bo": (2,)}),
    ],
)
def test_arrays_that_are_no_layer(wrong: str, shapes: dict[str, tuple[int, ...]]) -> None:
    assert told(arrays(wrong, **shapes)) == [(", ".join(wrong.split()), "these arrays only")]


def test_keys_in_another_order_give_one_plain_finding() -> None:
    shapes = {"Wh": (5, 5), "Wo": (5, 2), "Wx": (3, 5), "bh": (5,), "bo": (2,), "h0": (5,)}
    (finding,) = diagnose(arrays("Wh Wx bh h0", **shapes))
    assert finding[:2] == ("Wh, Wx, bh, h0", "these arrays only")
    assert "right: Wo, bo" in finding.evidence


def test_scattered_entries_are_listed_and_no_layer() -> None:
    changed = {name: N[name].copy() for name in ("W1", "b1", "W2", "b2", "W3", "b3")}
    for a in changed.values():
        a.flat[[0, a.size - 1]] *= 1.3, 0.4
    for names in (("W1", "W2"), tuple(changed)):
        (finding,) = diagnose(network(**{name: changed[name] for name in names if name[0] == "W"}))
        assert finding.bug == "some entries"
        assert "W1 in 2 of 20 entries: [0, 0], [4, 3]" in finding.evidence


def test_evidence_that_differs_is_kept() -> None:
    def loss(p: Any) -> Any:
        return np.sum(np.cos(p["w"])) + 0.5 * np.sum(p["w"] ** 2) + np.cos(p["b"])

    def turned(p: Any) -> Any:
        return {"w": np.sin(p["w"]) + p["w"], "b": np.sin(p["b"])}

    (finding,) = check_gradient(loss, turned, {"w": np.linspace(1, 3, 6), "b": 0.7}).findings
    assert finding[:2] == ("every array", "sign")
    assert "once a right L2 term is taken off" in finding.evidence


def test_arrays_that_took_each_others_place() -> None:
    q, k, v = arrays("", Wq=(3, 4), Wk=(3, 4), Wv=(3, 4))
    swapped = [seen(q.numerical, k.numerical, q.x, "Wq"), seen(k.numerical, q.numerical, k.x, "Wk")]
    (finding,) = diagnose([*swapped, v])
    assert finding[:2] == ("Wk, Wq", "mixed up")
    assert "Wk: a = n of Wq, shown by 12 entries; Wq: a = n of Wk" in finding.evidence


# --- what the check hands over --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tuple", "dict", "columns", "list"])
def test_n_is_found_wherever_args_hold_it(kind: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    args: Any = {
        "tuple": ((X, y),),
        "dict": ({"X": X, "more": [y]},),
        "columns": (X.T, y[None, :]),
        "list": (y.tolist(),),
    }[kind]
    (finding,) = check_gradient(
        lambda w, *_: 0.5 * np.sum((X @ w - y) ** 2),
        lambda w, *_: X.T @ (X @ w - y) / 20,
        np.ones(3),
        args=args,
    ).findings
    assert finding.bug == "batch size"


def test_what_directions_cleared_counts_as_right() -> None:
    x0 = {"W": np.random.default_rng(0).normal(size=(40, 80)) + 3}

    def found(*places: int) -> Any:
        a = 3 * x0["W"] ** 2
        a.flat[list(places)] *= -1
        return check_gradient(lambda p: np.sum(p["W"] ** 3), {"W": a}, x0).findings

    (finding,) = found(87)
    assert finding[:3] == ("W[1, 7]", "one entry", "wrong in 1 of 3,200 entries, with a / n = -1")
    (finding,) = found(87, 2000)
    assert finding.bug == "some entries"
    assert "in 2 of 3,200 entries: [1, 7], [25, 0], with a / n = -1," in finding.evidence


def test_row_is_told_apart_from_an_array_in_which_the_search_stopped() -> None:
    x0 = {"W": np.random.default_rng(0).normal(size=(60, 40)) + 3}
    right = 3 * x0["W"] ** 2
    row = right.copy()
    row[50] *= np.linspace(1.1, 2, 40)
    (finding,) = check_gradient(lambda p: np.sum(p["W"] ** 3), {"W": row}, x0).findings
    assert finding[:2] == ("W[50, :]", "one row")


def test_row_is_not_told_apart_in_float32_where_all_is_wrong() -> None:
    shapes = (100, 300, 10)
    params = neural_network.initial_parameters(shapes, 0, dtype=np.float32)
    rng = np.random.default_rng(0)
    args: Any = (rng.normal(size=(20, 100)).astype(np.float32), rng.integers(10, size=20))
    for name, factor in (("W1", -1), ("W1", 2), ("W2", 2)):
        a = neural_network.gradient(params, *args)
        a[name] *= np.float32(factor)
        report = check_gradient(neural_network.loss, a, params, args=args)
        bug = "sign" if factor < 0 else "factor"
        assert [(f.where, f.bug) for f in report.findings] == [(name, bug)]


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


def test_two_slopes_of_a_kink_are_no_slope_of_zero() -> None:
    report = check_gradient(lambda w: np.sum(np.abs(w)), np.full(3, 5.0), np.zeros(3))
    assert len(report.wrong) == 3
    assert "loss ignores it" not in [finding.bug for finding in report.findings]


def test_where_two_bugs_fit_it_is_said_what_would_tell_them_apart() -> None:
    w = np.array([0.7, 1.7, 2.7])
    report = check_gradient(lambda w: 0.5 * w @ w, lambda w: 0.5 * w, w)
    assert [finding.bug for finding in report.findings] == ["factor", "L2 term"]
    assert all("check at other weights" in finding.look_at for finding in report.findings)
    (alone,) = check_gradient(lambda w: np.sum(w**4), lambda w: 2 * w**3, w).findings
    assert "check at other weights" not in alone.look_at
