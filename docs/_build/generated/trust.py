"""Run one seed of the trust suite by both methods and write its figures and tables as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gradcheck.learning.faults import CATALOGUE
from tests.trust import other_checks
from tests.trust.confusion import plants, tally
from tests.trust.measure import figures, hard_jobs, table, zoo_jobs
from tests.trust.outcomes import METHODS
from tests.trust.parallel import run_all
from tests.trust.zoo import LAYERS
from tests.trust.zoo.checks import RESOLUTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.trust.confusion import Answer
    from tests.trust.outcomes import Outcome

EVERY = 7  # of the networks in which a fault can be planted, one in this many
OF_LAYERS = 6  # of the layers, one in this many
NAMES_A_PLACE = {"layer"}  # and not a bug
LIMITS = """
*Everyday ones* are the kinds network and model. The hard ones are here because fixed steps have trouble with
them, so large numbers in that column are no surprise. All get flat float64 arrays. A result of NaN, or an
error, is not a pass.

The limits are those of their authors.
[CS231n](https://cs231n.github.io/neural-networks-3/#gradcheck) says that an entry above 1e-2 is probably wrong, and that
1e-4 is usually fine where there are kinks, and too high where there are none. It also says to try other steps where a check fails, which nobody did
here. The exercise of [deeplearning.ai](https://www.coursera.org/learn/deep-neural-network) draws the line at 2e-7, and the
lecture looks closely from 1e-5 on.
[SciPy](https://docs.scipy.org/doc/scipy/reference/generated/scipy.optimize.check_grad.html) leaves the limit to you: these
two are ours. The last column takes for each check the one limit that is best for all of these gradients, chosen by
somebody who knows the answers.

**On everyday networks the best recipe does as well.** The difference is in scales, noise, kinks and minima, and
in saying which entry is wrong.
"""


def main() -> None:
    """Print the answer, the figures by method, the tables that compare, and the rest folded."""
    chosen = list(LAYERS)[::OF_LAYERS]
    outcomes = list(run_all([*hard_jobs([0]), *zoo_jobs([0], chosen, sizes=["small"])]))
    print(f"{answer(outcomes)}\n\n{by_method(outcomes)}\n")
    print(f"## Right gradients, by kind\n\n{by_kind(outcomes)}\n")
    print(f"## Other checks, on the same gradients\n\n{others(outcomes)}\n{LIMITS}")
    print(f"## The bug that is named\n\n{named()}\n")
    for (precision, method), rows in figures(outcomes).items():
        fold(f"All figures beside their goals: {precision}, {method}", table(rows))
    fold("Each layer, and its bugs", by_layer(outcomes))
    fold("Each kind of wrong gradient", by_bug(outcomes))


def answer(outcomes: Sequence[Outcome]) -> str:
    """Say in two sentences how often the check was right."""
    right = Counter(o.verdict for o in outcomes if o.what == "right")
    bad = wrong_ones(outcomes)
    missed, caught = sum(o.missed for o in bad), sum(o.caught for o in bad)
    rest = len(bad) - caught - missed
    return (
        f"When this site was built, the check saw **{right.total():,} right gradients** that are "
        f"hard to check: it passed {right['passed']:,}, could not judge {right['unresolved']:,}, "
        f"and called **{right['wrong']:,} wrong**. Of **{len(bad):,} wrong ones** it caught "
        f"{caught:,}; **{missed:,} passed without a word**."
        + (f" Of the other {rest:,} it said that it could not tell." if rest else "")
    )


def wrong_ones(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return the bugs and what was planted, but for errors as small as the resolution."""
    return [o for o in outcomes if o.what in ("wrong", "planted") and o.planted != RESOLUTION]


def by_method(outcomes: Sequence[Outcome]) -> str:
    """Return what matters most, a row for each precision and method."""
    head = ("Computed in", "Method", "Right ones passed", "called wrong", "unresolved",
            "Wrong ones caught", "passed without a word")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---|---|---|---|---|---|---|"]
    inside = {"mixed": "float64, float32 inside"}
    for precision, method in figures(outcomes):
        own = [o for o in outcomes if (o.subject.precision, o.method) == (precision, method)]
        right = Counter(o.verdict for o in own if o.what == "right")
        bad = wrong_ones(own)
        lines.append(
            f"| {inside.get(precision, precision)} | {method} "
            f"| {right['passed']} of {right.total()} | {right['wrong']} | {right['unresolved']} "
            f"| {sum(o.caught for o in bad)} of {len(bad)} | {sum(o.missed for o in bad)} |"
        )
    return "\n".join(lines)


def by_kind(outcomes: Sequence[Outcome]) -> str:
    """Sum the right cases and the plants of one kind, by both methods."""
    hard = [o for o in outcomes if o.subject.kind not in LAYERS]
    kinds = dict.fromkeys(o.subject.kind for o in hard if o.what == "right")
    groups = {kind: [o for o in hard if o.subject.kind == kind] for kind in kinds}
    groups["layers and small networks"] = [o for o in outcomes if o.subject.kind in LAYERS]
    lines = [f"| Kind | {' | '.join(f'Passed, {m} | Plants caught, {m}' for m in METHODS)} |"]
    lines.append("|---|---|---|---|---|")
    for kind, group in groups.items():
        cells = []
        for method in METHODS:
            right = [o for o in group if o.method == method and o.what == "right"]
            planted = [o for o in wrong_ones(group) if o.method == method and o.what == "planted"]
            cells.append(f"{sum(o.verdict == 'passed' for o in right)} of {len(right)}")
            cells.append(f"{sum(o.caught for o in planted)} of {len(planted)}")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def by_layer(outcomes: Iterable[Outcome]) -> str:
    """Return what the check says of each layer of the zoo, and of its bugs."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.subject.kind in LAYERS:
            groups.setdefault(outcome.subject.kind, []).append(outcome)
    lines = [
        "| Layer | Right ones passed | Bugs caught | What is told of them |",
        "|---|---|---|---|",
    ]
    for layer, own in groups.items():
        right, bugs = ([o for o in own if o.what == what] for what in ("right", "wrong"))
        told = Counter(o.told for o in bugs if o.told)
        passed = sum(o.verdict == "passed" for o in right)
        lines.append(
            f"| {layer.replace('_', ' ')} | {passed} of {len(right)} "
            f"| {sum(o.caught for o in bugs)} of {len(bugs)} "
            f"| {', '.join(f'{word} {count}' for word, count in told.most_common())} |"
        )
    return "\n".join(lines)


def by_bug(outcomes: Iterable[Outcome]) -> str:
    """Return how often each bug of the plain losses is caught."""
    bugs = [o for o in outcomes if o.what == "wrong" and o.subject.kind not in LAYERS]
    lines = ["| Bug | Caught |", "|---|---|"]
    for name in dict.fromkeys(o.planted for o in bugs):
        own = [o for o in bugs if o.planted == name]
        lines.append(f"| {name} | {sum(o.caught for o in own)} of {len(own)} |")
    return "\n".join(lines)


def fold(title: str, body: str) -> None:
    """Print a table that opens on a click."""
    print("<details markdown data-search-exclude>")
    print(f"<summary>{title}</summary>\n\n{body}\n\n</details>\n")


def others(outcomes: Iterable[Outcome]) -> str:
    """Count how often each check is at fault; this one's counts are those of the suite."""
    totals, counts = other_checks.count()
    own = [o for o in outcomes if o.method == "entries" and o.subject.kind not in LAYERS]
    own = [o for o in own if o.subject.precision == "float64"]
    blamed = [o for o in own if o.what == "right" and o.verdict != "passed"]
    everyday = sum(o.subject.kind in other_checks.EVERYDAY for o in blamed)
    passed = sum(o.missed for o in wrong_ones(own))
    lines = [
        f"| Check, and its limit | Everyday ones blamed, of {totals.everyday} | Hard ones blamed, "
        f"of {totals.hard} | Wrong ones passed, of {totals.wrong} | Sum, with the best limit |",
        "|---|---|---|---|---|",
        f"| `check_gradient` | {everyday} | {len(blamed) - everyday} | {passed} "
        f"| {len(blamed) + passed} |",
    ]
    lines += [
        f"| {c.check}, {c.limit:.0e} | {c.blamed_everyday} | {c.blamed_hard} | {c.passed} "
        f"| {c.at_best} |"
        for c in counts
    ]
    return "\n".join(lines)


def named() -> str:
    """Plant each bug of the catalogue in a few models, and count which one the check names."""
    answers = [
        plant.check() for fault in CATALOGUE for plant in list(plants(fault, 0, "entries"))[::EVERY]
    ]
    groups: dict[str | None, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.plant.fault.signature, []).append(answer)
    untold = groups.pop(None)
    placed = [a for name in NAMES_A_PLACE & groups.keys() for a in groups[name]]
    told = [a for name in groups.keys() - NAMES_A_PLACE for a in groups[name]]
    findings = sum(len(answer.findings) for answer in answers)
    false = sum(len(answer.false) for answer in answers)
    rows = [
        ("the bug is named first", told, sum(a.named for a in told)),
        ("the layer is named where it begins, not the bug", placed, sum(a.named for a in placed)),
        ("no bug is named: the numbers fit several", untold, sum(not a.false for a in untold)),
    ]
    lines = ["| What the report can do | Bugs | Reached |", "|---|---|---|"]
    lines += [f"| {what} | {bugs(own)} | {good} of {len(own)} |" for what, own, good in rows]
    lines.append(f"| findings that are false | {bugs(answers)} | {false} of {findings} |")
    lines += ["", "| Planted | Bugs | Times | The report says first |", "|---|---|---|---|"]
    groups["(others)"] = untold
    lines += [
        f"| {name} | {bugs(own)} | {len(own)} | {tally(own)} |" for name, own in groups.items()
    ]
    return "\n".join(lines)


def bugs(answers: list[Answer]) -> int:
    """Count the bugs that were planted."""
    return len({answer.plant.fault.name for answer in answers})


if __name__ == "__main__":
    main()
