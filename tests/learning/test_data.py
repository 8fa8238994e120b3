import numpy as np

from gradcheck.learning.data import swiss


def test_known_values() -> None:
    X, y, features, provinces = swiss()
    assert features == ["Agriculture", "Examination", "Education", "Catholic", "Infant.Mortality"]
    assert (provinces[0], provinces[-1]) == ("Courtelary", "Rive Gauche")
    np.testing.assert_array_equal(X[0], [17, 15, 12, 9.96, 22.2])
    assert (y[0], y[-1]) == (80.2, 42.8)


def test_shapes_and_range() -> None:
    X, y, features, provinces = swiss()
    assert X.shape == (47, 5)
    assert y.shape == (47,)
    assert len(features) == 5
    assert len(set(provinces)) == 47
    assert ((X >= 0) & (X <= 100)).all()
    assert ((y >= 0) & (y <= 100)).all()


def test_means_are_those_that_r_prints_for_summary_of_swiss() -> None:
    X, y, *_ = swiss()
    np.testing.assert_allclose(X.mean(axis=0), [50.66, 16.49, 10.98, 41.144, 19.94], atol=5e-3)
    np.testing.assert_allclose(y.mean(), 70.14, atol=5e-3)


def test_every_call_gives_fresh_arrays() -> None:
    swiss().X[:] = 0
    assert swiss().X.min() > 0
