"""The one question, of an entry and of a direction alike: whether that is the loss's slope."""

from __future__ import annotations

import math
from typing import NamedTuple

from gradcheck.judging.table import Reason, Verdict
from gradcheck.measuring.slopes import MAX_RUNGS, Estimate, Ladder

SURE = 2  # error bars a slope must be off by: of thousands, some are unlucky


class Claim(NamedTuple):
    """The slope that a gradient claims along a line, and how far off it may be."""

    slope: float
    rtol: float
    atol: float

    def allowed(self, slope: float) -> float:
        """Return the allowed difference from a slope, its error bar not included."""
        return self.atol + self.rtol * max(abs(self.slope), abs(slope))

    def excess(self, e: Estimate) -> float:
        """Return by how much more than allowed the claim differs from a slope."""
        return abs(self.slope - e.value) - self.allowed(e.value)


class Judgement(NamedTuple):
    """What is said of a claim, why, the slope that says so, and what it may differ by."""

    verdict: Verdict
    reason: Reason
    slope: Estimate
    allowed: float = math.nan


def examine(
    claim: Claim,
    ladder: Ladder,
    around: float,
    limit: int = MAX_RUNGS,
    *,
    sharper: bool = False,
    kinks: bool = False,
    fixed: bool = False,
) -> Judgement | None:
    """Add rungs until the claim is settled; None if there is no slope to hold it against.

    Smaller steps first; larger ones for a `sharper` look at what its error bar excused; the closest
    at once where others like it sit on `kinks`; none where the step is `fixed`. At a minimum, no
    slope is known nearer than it changes `around` the point.
    """

    def enough(e: Estimate) -> bool:
        """Whether more rungs would tell nothing new."""
        excess, bar, allowed = claim.excess(e), e.error + e.kink, claim.allowed(e.value)
        if ladder.kinked(e):
            return True
        if excess <= 0 or (excess <= e.error and not sharper):
            return bar <= (allowed if sharper else max(allowed, 3 * e.round_off))
        return ladder.confirmed(e) and excess > SURE * bar

    second = 1.0 if sharper else -1.0
    if kinks and (first := ladder.rungs.get(0.0)):
        jump = abs(first.jump) / 2
        gap = abs(claim.slope - first.slope) - claim.allowed(first.slope) - first.bar
        if jump > first.bar and gap <= jump:  # a kink would explain it: look close at once
            second = ladder.nearest(jump / 4)
    best = ladder.fixed() if fixed else ladder.climb(enough, limit, second)
    if best is None:
        return None
    claim = claim._replace(atol=max(claim.atol, ladder.bend(around), ladder.silence()))
    judged = judge(claim, ladder, best)
    vague = best.error + best.kink > 1e-3 * abs(best.value)
    if judged.verdict is Verdict.WRONG and vague and not fixed:
        # A loss that waves many times within the steps has slopes that all miss it: before
        # that is held against the gradient, look as close as the noise permits.
        nearest = ladder.nearest(0.1 * abs(claim.slope - best.value))
        if nearest < ladder.lowest - 1:
            judged = judge(claim, ladder, ladder.climb(enough, second=nearest) or best)
    if judged.verdict in (Verdict.WRONG, Verdict.UNRESOLVED):
        ladder.repeat()
        # Of a staircase or a wave, two slopes may be meant: wrong is what is neither.
        if (other := ladder.at_other_noise()) and not fixed:
            elsewhere = examine(claim, other, around)
            if elsewhere and elsewhere.verdict in (Verdict.AGREE, Verdict.KINK):
                return elsewhere._replace(reason=Reason.STAIRCASE)
    return judged._replace(allowed=claim.allowed(judged.slope.value))


def judge(claim: Claim, ladder: Ladder, e: Estimate) -> Judgement:
    """Hold a claim against the best slope of a ladder."""
    if not math.isfinite(claim.slope):
        return Judgement(Verdict.WRONG, Reason.GRADIENT, e)
    excess = claim.excess(e)
    if e.kink > claim.allowed(e.value) and ladder.kinked(e):
        # The two one-sided slopes differ however small the step: the loss bends at the point.
        between = excess <= SURE * e.error + e.kink
        return Judgement(Verdict.KINK if between else Verdict.WRONG, Reason.KINK, e)
    if excess <= 0:
        return Judgement(Verdict.AGREE, Reason.GRADIENT, e)
    if excess <= SURE * e.error:
        return Judgement(Verdict.AGREE, Reason.ROUND_OFF, e)
    if e.settled and excess <= SURE * e.error + e.kink:
        return Judgement(Verdict.AGREE, Reason.NOISE, e)
    # Slopes that still run away at the smallest steps, as where the loss jumps, settle nothing.
    if not e.settled and all(abs(r.jump) > 10 * r.bar for r in ladder.closer(e)):
        return Judgement(Verdict.UNRESOLVED, Reason.TRUNCATION, e)
    return Judgement(Verdict.WRONG, Reason.GRADIENT, e)
