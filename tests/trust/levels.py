"""What is reached today where the goal is not: `pytest` lets no figure fall below.

Who raises a figure raises its level here, with some room, so that no level sits where round-off
decides; and leaves it out where the goal is reached. Goals stand in `measure.py`.
"""

from .measure import Pair

REACHED: dict[Pair, dict[str, float]] = {
    ("float64", "entries"): {
        "right: blind, where a wrong sign is caught": 4,
        "right: more calls than the limit": 6,
        "smooth: calls beyond 2 P, at most": 87,
        "findings: a cause that is false": 9,
        "findings: the cause": 34,
        "findings: the cause or the place": 40,
        "findings: unknown": 55,
    },
    ("float64", "directions"): {
        "right: blind, where a wrong sign is caught": 4,
        "planted: caught, where it can be seen": 96,
        "wrong or planted: passed without a word": 4,
        "1.05 times the resolution: caught": 95,
        "findings: a cause that is false": 6,
        "findings: the cause": 31,
        "findings: the cause or the place": 37,
        "findings: unknown": 60,
    },
    ("float32", "entries"): {
        "right: blind, where a wrong sign is caught": 5,
        "1.05 times the resolution: caught": 91,
        "findings: a cause that is false": 9,
        "findings: the cause": 33,
        "findings: the cause or the place": 39,
        "findings: unknown": 56,
    },
    ("float32", "directions"): {
        "right: blind, where a wrong sign is caught": 12,
        "right: more calls than the limit": 4,
        "smooth: calls along directions, median": 64,
        "1.05 times the resolution: caught": 88,
        "findings: a cause that is false": 7,
        "findings: the cause": 30,
        "findings: the cause or the place": 35,
        "findings: unknown": 61,
    },
    ("mixed", "entries"): {
        "right: blind, where a wrong sign is caught": 7,
        "right: more calls than the limit": 26,
        "smooth: calls beyond 2 P, at most": 391,
        "planted: caught, where it can be seen": 96,
        "wrong or planted: passed without a word": 4,
        "1.05 times the resolution: caught": 82,
        "findings: a cause that is false": 9,
        "findings: the cause": 32,
        "findings: the cause or the place": 38,
        "findings: unknown": 56,
    },
    ("mixed", "directions"): {
        "right: called wrong, or refused": 4,
        "right: blind, where a wrong sign is caught": 9,
        "smooth: calls along directions, median": 96,
        "planted: caught, where it can be seen": 95,
        "wrong or planted: passed without a word": 4,
        "1.05 times the resolution: caught": 73,
        "findings: a cause that is false": 8,
        "findings: the cause": 30,
        "findings: the cause or the place": 34,
        "findings: unknown": 61,
    },
}
