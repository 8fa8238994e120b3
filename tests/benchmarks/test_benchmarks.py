"""The benchmarks measure the network they name, and refuse what they cannot count."""

import sys

import pytest

from .__main__ import LARGE, main, network, right_gradients


def test_the_large_network_is_the_one_of_the_pages() -> None:
    params, _ = network(LARGE, 0)
    assert LARGE == (784, 1000, 250, 10)
    assert sum(p.size for p in params.values()) == 1_037_760


def test_right_gradients_of_both_kinds_are_measured() -> None:
    rows = list(right_gradients(networks=1))
    assert [what for what, *_ in rows] == [
        "1,037,760 parameters, tanh, 1 right",
        "1,037,760 parameters, relu, 1 right",
    ]


@pytest.mark.parametrize("count", ["0", "-1"])
def test_refuses_no_plantings(
    count: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--plantings", count])
    with pytest.raises(SystemExit):
        main()
    assert f"--plantings is {count}: give 1 or more." in capsys.readouterr().err
