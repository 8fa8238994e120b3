"""What one check said, and whether that falls short of what is true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from gradcheck import check_gradient

Method = Literal["entries", "directions"]
METHODS: tuple[Method, ...] = ("entries", "directions")
PRECISIONS = ("float64", "float32", "mixed")  # mixed: float64 outside, float32 inside


class Subject(NamedTuple):
    """A loss at a point: what was checked."""

    name: str
    kind: str  # of the zoo: the layer
    precision: str
    parameters: int
    smooth: bool
    seed: int


class Outcome(NamedTuple):
    """What one check said."""

    subject: Subject
    method: Method
    what: str  # "right", "wrong" (a bug), "planted" or "unclear" (nothing can be known)
    planted: str  # what is wrong, "" where nothing is
    arrays: tuple[str, ...]  # the arrays that hold something wrong
    verdict: str  # passed, wrong, unresolved, or raised
    calls: int = 0
    named: tuple[str, ...] = ()  # the arrays that are called wrong
    blind: tuple[str, ...] = ()  # the arrays that are called blind
    falsely_blind: tuple[str, ...] = ()  # of these, where a negated array was caught
    told: str = ""  # of a bug: "cause", "place", "unknown" or "false"
    seen: bool = True  # whether the report says that it would see what was planted
    text: str = ""

    @property
    def limit(self) -> int:
        """The most calls that a check may take: twice as many where the loss has kinks."""
        bare = 2 * self.subject.parameters
        if not self.subject.smooth:
            bare *= 2
        return bare + (40 if self.method == "entries" else 1_000)

    @property
    def caught(self) -> bool:
        return self.verdict == "wrong"

    @property
    def missed(self) -> bool:
        """Whether something wrong passed, though the report says that it would be seen."""
        return self.verdict == "raised" or (self.verdict == "passed" and self.seen)

    @property
    def falls_short(self) -> str:
        """Say in a few words what is wrong with the verdict, "" where nothing is."""
        if self.what == "unclear":
            bad = self.verdict != "unresolved" and not (self.caught and self.planted)
            return f"nothing can be known, {self.verdict}" if bad else ""
        if self.what == "right":
            if self.verdict != "passed":
                return f"right, {self.verdict}"
            if self.falsely_blind:
                return f"blind in {', '.join(self.falsely_blind)}, where a wrong sign is caught"
            return "too many calls" if self.calls > self.limit else ""
        if self.missed:
            return f"{self.planted}: {self.verdict}"
        if right := [name for name in self.named if name not in self.arrays]:
            return f"{self.planted}: right arrays called wrong: {', '.join(right)}"
        return "a false cause is named" if self.told == "false" else ""

    def __str__(self) -> str:
        return (
            f"{self.subject.name} (P = {self.subject.parameters:,}), {self.method}: "
            f"{self.falls_short or self.verdict}; {self.calls:,} calls. {self.text}"
        )


def check(
    subject: Subject,
    method: Method,
    fun: Callable[..., Any],
    grad: Any,
    x0: Any,
    args: Sequence[Any] = (),
    *,
    what: str = "right",
    planted: str = "",
    arrays: Iterable[str] = (),
) -> tuple[Any, Outcome]:
    """Return the report (None where the check raised) and what it comes to."""
    arrays = tuple(arrays)
    try:
        report = check_gradient(fun, grad, x0, args=args, method=method)
    except Exception as raised:
        outcome = Outcome(subject, method, what, planted, arrays, "raised", text=repr(raised))
        return None, outcome
    verdict = "passed" if report.passed else "wrong" if report.wrong else "unresolved"
    worst = [*report.wrong, *report.unresolved][:1]
    return report, Outcome(
        subject,
        method,
        what,
        planted,
        arrays,
        verdict,
        report.nfev,
        tuple(dict.fromkeys(array_of(entry.name) for entry in report.wrong)),
        blind(report),
        text="; ".join(
            f"{e.name}: a {e.analytic:.4g}, n {e.numerical:.4g}, bar {e.error:.1g}, {e.reason}"
            for e in worst
        ),
    )


def blind(report: Any) -> tuple[str, ...]:
    """Return the arrays that a report calls blind."""
    if hasattr(report, "blind"):
        return tuple(report.blind)
    return tuple(name for name, r in report.resolution.items() if r >= 1)


def array_of(name: str) -> str:
    return name[: name.rindex("[")] if name.endswith("]") else name
