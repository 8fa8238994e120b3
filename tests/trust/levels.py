"""What is held today where the goal is not reached, or only just: no figure may fall below.

Who raises a figure raises its level here, with some room, so that no level sits where round-off
decides. Goals stand in `measure.py`.
"""

from .measure import Pair
from .outcomes import METHODS, PRECISIONS

NEAR = {  # of all precisions and methods
    "1.05 times the resolution: caught": 96.0,
    "findings: a cause that is false": 2.0,
}
BY_METHOD = {
    "entries": {
        "smooth: calls beyond 2 P, at most": 80.0,
        "findings: the cause or the place": 88.0,
        "findings: unknown": 12.0,
    },
    "directions": {
        "findings: the cause or the place": 78.0,
        "findings: unknown": 22.0,
    },
}
FLOAT32_INSIDE = {
    "right: blind, where a wrong sign is caught": 4.0,
    "planted: caught, where it can be seen": 97.0,
    "wrong or planted: passed without a word": 2.0,
    "1.05 times the resolution: caught": 90.0,
}
REACHED: dict[Pair, dict[str, float]] = {
    (precision, method): NEAR | BY_METHOD[method] | (FLOAT32_INSIDE if precision == "mixed" else {})
    for precision in PRECISIONS
    for method in METHODS
}
REACHED["float64", "entries"]["right: more calls than the limit"] = 5.0
REACHED["float32", "directions"]["smooth: calls along directions, median"] = 55.0
REACHED["mixed", "directions"]["smooth: calls along directions, median"] = 80.0
