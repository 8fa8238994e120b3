"""Each hypothesis fires on its own bug, and not on what comes near it."""

from typing import Any

import numpy as np
import pytest

from gradcheck.explaining.evidence import ArrayCheck, Finding
from gradcheck.explaining.findings import diagnose

rng = np.random.default_rng(4)
W = rng.normal(size=(4, 5))
G = rng.normal(size=(4, 5))
SQUARE = rng.normal(size=(4, 4))
b = rng.normal(size=6)


def seen(n: Any, a: Any, x: Any = None, name: str = "W", error: float = 1e-10) -> ArrayCheck:
    n, a = np.array(n, dtype=float), np.array(a, dtype=float)
    x = np.ones_like(n) if x is None else np.asarray(x)
    with np.errstate(invalid="ignore"):
        agree = np.abs(a - n) <= 1e-6 * np.maximum(np.abs(a), np.abs(n)) + error
    return ArrayCheck(name, x, a, n, np.full(n.shape, error), ~agree & np.isfinite(n))


def only(check: ArrayCheck, sizes: tuple[int, ...] = ()) -> Finding:
    (finding,) = diagnose([check], sizes)
    return finding


def bugs(check: ArrayCheck, sizes: tuple[int, ...] = ()) -> list[str]:
    return [finding.bug for finding in diagnose([check], sizes)]


def noise(shape: tuple[int, ...], seed: int) -> Any:
    return np.random.default_rng([9, seed]).normal(size=shape)


def test_sign() -> None:
    finding = only(seen(G, -G, W))
    assert finding.bug == "sign"
    assert finding.evidence == "a / n = -1 in 20 of 20 entries"


@pytest.mark.parametrize("factor", [2, 0.5, 3.7, 1 / 7, 1.001, -2, 1e-7, 1e7])
def test_factor(factor: float) -> None:
    assert only(seen(G, factor * G, W, error=0)).bug == "factor"


def test_factor_as_fraction() -> None:
    assert "a / n = 0.1429 (1/7)" in only(seen(G, G / 7, W)).evidence


@pytest.mark.parametrize("ratio", [47, 1 / 47, 47 / 46, -1 / 47, 94])
def test_batch_size(ratio: float) -> None:
    finding = only(seen(G, ratio * G, W), (3, 47))
    assert finding.bug == "batch size"
    assert "47 is the length" in finding.evidence


def test_n_minus_1_for_n_is_not_called_mean_against_sum() -> None:
    finding = only(seen(G, G * 19 / 20, W), (20,))
    assert finding.bug == "batch size"
    assert "that is 19/20" in finding.evidence
    assert finding.look_at.endswith("divides by N, the other by N - 1")


def test_plain_mean_against_sum_goes_before_half_of_it() -> None:
    finding = only(seen(G, 10 * G, W), (5, 10))
    assert finding.evidence.endswith("; 10 is the length of an axis in `args`")


def test_root_is_recognised() -> None:
    assert "a / n = 2.449 (sqrt 6) in" in only(seen(G, 6**0.5 * G, W)).evidence
    assert "a / n = -0.4082 (-1/sqrt 6) in" in only(seen(G, -(6**-0.5) * G, W)).evidence


def test_batch_size_above_a_thousand() -> None:
    assert bugs(seen(G, G / 60_000, W, error=0), (60_000,)) == ["batch size"]


def test_ratio_is_no_batch_size_if_only_near_it() -> None:
    assert bugs(seen(G, 47.2 * G, W), (47,)) == ["factor"]


def test_ratio_of_two_names_the_batch_of_two_as_well() -> None:
    finding = only(seen(G, 2 * G, W), (2,))
    assert finding.bug == "factor"
    assert "mean against sum" in finding.evidence


def test_single_number_has_a_ratio_only_if_it_has_a_meaning() -> None:
    assert bugs(seen([3.0], [-3.0])) == ["sign"]
    assert bugs(seen([3.0], [1.11])) == ["unknown"]


def test_ratio_must_hold_in_every_entry() -> None:
    a = -G
    a[1, 2] *= 1.01
    assert bugs(seen(G, a, W)) == ["unknown"]


def test_ratio_through_error_bars() -> None:
    wide = seen(G, 2 * (G + 1e-4 * noise(G.shape, 1)), W, error=1e-3)
    assert bugs(wide) == ["factor"]


def test_wide_bars_prove_a_ratio_together() -> None:
    n = 10 + G
    a = -n
    n = n + 1e-2 * noise(n.shape, 1)
    n[0, 0] *= 1.02  # a kink nearby
    finding = only(seen(n, a, W, error=0.1))
    assert finding.evidence == "a / n = -1 in 20 of 20 entries"


def test_ratio_known_badly_is_named_only_if_it_has_a_meaning() -> None:
    rough = G * (1 + 5e-3 * noise(G.shape, 1))
    assert bugs(seen(rough, 2 * G, W, error=2e-2)) == ["factor"]
    assert bugs(seen(rough, 2.2 * G, W, error=2e-2)) == ["unknown"]


def test_few_flips_are_no_sign_bug() -> None:
    a = G.copy()
    a[[0, 1, 3], [2, 4, 1]] *= -1
    finding = only(seen(G, a, W))
    assert finding.bug == "some entries"
    assert "in 3 of 20 entries: [0, 2], [1, 4], [3, 1], with a / n = -1," in finding.evidence


def test_bars_as_wide_as_the_gap_prove_nothing() -> None:
    check = seen(G, G + 0.1 * noise(G.shape, 2), W)
    assert bugs(check._replace(error=np.full(G.shape, 0.1))) == ["unknown"]


def test_never_written() -> None:
    finding = only(seen(G, 0 * G, W))
    assert finding.bug == "never written"
    assert finding.where == "W"


def test_one_row_or_entry_never_written() -> None:
    a = G.copy()
    a[3] = 0
    assert only(seen(G, a, W))[:2] == ("W[3, :]", "never written")
    a = b.copy()
    a[0] = 0
    assert only(seen(b, a, name=""))[:2] == ("[0]", "never written")


def test_nearly_zero_is_not_never_written() -> None:
    assert bugs(seen(G, 1e-9 * noise(G.shape, 3), W)) == ["unknown"]


def test_only_the_l2_term_written() -> None:
    finding = only(seen(G + 0.1 * W, 0.1 * W, W))
    assert finding.bug == "never written"
    assert "0.1 times the parameter" in finding.evidence


def test_loss_ignores_it() -> None:
    assert bugs(seen(0 * G, G, W)) == ["loss ignores it"]
    one_moves = 0 * G
    one_moves[0, 0] = 1e-8
    assert bugs(seen(one_moves, G, W)) == ["unknown"]


def test_mask_missing_in_the_gradient() -> None:
    mask = np.tril(np.ones((4, 5)))
    for a in (G, 2 * W):  # 2 W: as if an L2 term were doubled
        finding = only(seen(mask * a, a, W))
        assert finding.bug == "loss ignores it"
        assert finding.evidence == "n is exactly 0 in 10 of 20 entries, a is not"
        assert "mask" in finding.look_at


def test_constant_term() -> None:
    finding = only(seen(G + 25, G, W), (25, 4))
    assert finding.bug == "constant term"
    assert finding.evidence.startswith("n - a = 25 in 20 of 20 entries; 25 is the length")
    almost = G.copy()
    almost[0, 0] += 0.1
    assert bugs(seen(G + 25, almost, W)) == ["unknown"]


def test_a_few_entries_that_differ_by_the_same_are_no_constant_term() -> None:
    n = np.random.default_rng(5).normal(size=20)
    a = n.copy()
    a[:6] += [0.3, 0.1, -0.2, 0.4, 0.7, -0.6]
    a[9:12] += 0.1
    assert set(bugs(seen(n, a, n**2, name="b"))) == {"block"}


def test_chain_rule_of_a_log() -> None:
    finding = only(seen(G, G * np.exp(-W), W))
    assert finding.bug == "chain rule"
    assert "a exp(x) = n in 20 of 20 entries" in finding.evidence
    assert finding.look_at.startswith(
        "a factor exp(x) is missing, as in the chain rule of a parameter"
    )
    assert "a = n exp(x)" in only(seen(G, G * np.exp(W), W)).evidence
    assert bugs(seen(G, G * np.exp(-2 * W), W)) == ["unknown"]


def test_chain_rule_of_one_entry_must_fit_better() -> None:
    a = b.copy()
    a[2] = b[2] / np.exp(1.0)
    assert only(seen(b, a, np.ones(6), name=""))[:2] == ("[2]", "chain rule")
    a[2] *= 1.0005
    assert bugs(seen(b, a, np.ones(6), name="")) == ["one entry"]


@pytest.mark.parametrize(
    ("term", "evidence", "look_at"),
    [
        (0.0, "n - a = 0.1 times", "forgotten if it should be 0.1 times"),
        (-0.1, "n - a = 0.2 times", "of the wrong sign if 0.1"),
        (0.2, "n - a = -0.1 times", "doubled if it should be 0.1 times"),
    ],
)
def test_l2_term(term: float, evidence: str, look_at: str) -> None:
    finding = only(seen(G + 0.1 * W, G + term * W, W))
    assert finding.bug == "L2 term"
    assert evidence in finding.evidence
    assert look_at in finding.look_at


def test_l2_term_divided_by_n() -> None:
    finding = only(seen(G + 0.5 * W, G + 0.5 / 30 * W, W), (30, 5))
    assert "divided by 30 if 0.5" in finding.look_at


def test_l2_term_but_for_the_bias_in_the_same_vector() -> None:
    a = b.copy()
    a[1:] -= 0.1 * np.arange(1, 6)
    assert only(seen(b, a, np.arange(6))).bug == "L2 term"


def test_term_that_grows_with_something_else_is_no_l2_term() -> None:
    assert bugs(seen(G + 0.1 * W**3, G, W)) == ["unknown"]


def test_ratio_and_l2_where_both_fit() -> None:
    assert bugs(seen(0.1 * W, 0.2 * W, W)) == ["factor", "L2 term"]


@pytest.mark.parametrize(("ratio", "bug"), [(-1, "sign"), (2, "factor"), (1 / 47, "batch size")])
def test_ratio_beside_a_right_l2_term(ratio: float, bug: str) -> None:
    finding = only(seen(G + 0.1 * W, ratio * G + 0.1 * W, W), (47,))
    assert finding.bug == bug
    assert "0.1 times the parameter" in finding.evidence


def test_ratio_without_meaning_beside_l2_is_not_named() -> None:
    assert bugs(seen(G + 0.1 * W, 1.3 * G + 0.1 * W, W)) == ["unknown"]


def test_transposed() -> None:
    assert bugs(seen(SQUARE, SQUARE.T)) == ["transposed"]
    assert bugs(seen(G, G.T.reshape(G.shape), W)) == ["transposed"]


def test_transposed_before_the_l2_term_was_added() -> None:
    x = noise((4, 4), 5)
    assert bugs(seen(SQUARE + 0.1 * x, SQUARE.T + 0.1 * x, x)) == ["transposed"]


def test_symmetric_matrix_with_one_entry_off_is_not_transposed() -> None:
    symmetric = SQUARE + SQUARE.T
    a = symmetric.copy()
    a[1, 2] *= 1 + 1e-5
    assert bugs(seen(symmetric, a)) == ["small error"]


def test_transposed_with_one_entry_off_is_not_transposed() -> None:
    a = SQUARE.T.copy()
    a[1, 2] += 0.1
    assert bugs(seen(SQUARE, a)) == ["part of the entries"]  # off the diagonal


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ([1, 2, 3, 0], "a is n shifted by -1 along axis {axis}; "),
        ([3, 0, 1, 2], "a is n shifted by 1 along axis {axis}; "),
        ([3, 2, 1, 0], "a is n reversed along axis {axis}: [::-1]; "),
        ([0, 3, 2, 1], "the {what} of n in another order: 3 stands at 1, 1 stands at 3; "),
        (
            [2, 0, 1, 3],
            "the {what} of n in another order: 2 stands at 0, 0 stands at 1, 1 stands at 2; ",
        ),
    ],
)
def test_permuted(order: list[int], said: str) -> None:
    rows = only(seen(G, G[order], W))
    assert rows.bug == "permuted"
    assert rows.evidence.startswith(said.format(axis=0, what="rows"))
    columns = only(seen(G.T, G.T[:, order], W.T))
    assert columns.evidence.startswith(said.format(axis=1, what="columns"))
    entries = only(seen(b[:4], b[order], name=""))
    assert entries.evidence.startswith(said.format(axis=0, what="entries"))


def test_permuted_before_the_l2_term_was_added() -> None:
    assert bugs(seen(G + 0.1 * W, G[::-1] + 0.1 * W, W)) == ["permuted"]


def test_permuted_with_one_entry_off_is_not_permuted() -> None:
    a = G[::-1].copy()
    a[0, 0] += 0.1
    assert bugs(seen(G, a, W)) == ["unknown"]


def test_two_entries_swapped_in_a_matrix_are_no_rows() -> None:
    a = G.copy()
    a[0, 1], a[2, 3] = G[2, 3], G[0, 1]
    finding = only(seen(G, a, W))
    assert finding.bug == "permuted"
    assert "[2, 3] stands at [0, 1], [0, 1] stands at [2, 3]" in finding.evidence


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_unknown(seed: int) -> None:
    for shape in [(6,), (3, 4), (8, 2), (5, 5), (2, 2), (2, 3, 4)]:
        n, x = noise(shape, seed), noise(shape, seed + 100)
        assert bugs(seen(n, noise(shape, seed + 200), x), (7, 20)) == ["unknown"]
        assert bugs(seen(n, n * (1 + 1e-4 * noise(shape, seed + 300)), x)) == ["small error"]


# --- where only a sample of a large array was measured --------------------------------------------


def sampled(n: Any, a: Any, x: Any, count: int = 20) -> ArrayCheck:
    check = seen(n, a, x)
    measured = np.zeros(n.size, dtype=bool)
    measured[np.random.default_rng(1).choice(n.size, count, replace=False)] = True
    measured = measured.reshape(n.shape)
    return check._replace(
        numerical=np.where(measured, check.numerical, np.nan),
        error=np.where(measured, check.error, np.nan),
        wrong=check.wrong & measured,
    )


LARGE, X = noise((60, 60), 1), noise((60, 60), 2)


@pytest.mark.parametrize(
    ("analytic", "bug"),
    [
        (-LARGE, "sign"),
        (LARGE / 47, "batch size"),
        (0 * LARGE, "never written"),
        (LARGE - 0.1 * X, "L2 term"),
        (LARGE.T, "transposed"),
        (LARGE[::-1], "permuted"),
        (np.roll(LARGE, 1, axis=1), "permuted"),
        (noise((60, 60), 3), "unknown"),
        (LARGE - 25, "unknown"),
    ],
)
def test_sample(analytic: Any, bug: str) -> None:
    finding = only(sampled(LARGE, analytic, X), (47,))
    assert finding.bug == bug
    assert bug in ("transposed", "permuted") or "entries known" in finding.evidence


def test_sample_of_noise_is_never_named() -> None:
    for seed in range(30):
        assert bugs(sampled(LARGE, noise((60, 60), seed + 10), X), (47,)) == ["unknown"]
