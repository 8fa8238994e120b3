"""The one question, of an entry and of a direction alike: whether that is the loss's slope."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gradcheck.judging.table import Reason, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Array
from gradcheck.measuring.slopes import MAX_RUNGS, Estimate, Ladder

SURE = 2  # error bars a slope must be off by: of thousands, some are unlucky
VAGUE = 1e-3  # of a slope: a wider bar shows that the steps are not small yet
CLOSER, WIDER = -1.0, 1.0  # exponents of the second step: for a narrower bar, the larger one


class Problem(NamedTuple):
    """A gradient to be held against a loss: all that judging needs to know."""

    evaluator: Evaluator
    gradient: Sequence[Array]
    noise: float  # standard deviation of that of the loss
    rtol: float
    atol: float
    typical: Sequence[float]  # for each array, the size of an entry to which errors are relative
    step: float | None = None  # for every entry, in place of a ladder of steps


class Claim(NamedTuple):
    """The slope that a gradient claims along a line, and how far off it may be."""

    slope: float
    rtol: float
    atol: float
    around: float  # so near the point nobody knows the slope: at a minimum, it changes over that

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
    allowed: float


def examine(
    claim: Claim, ladder: Ladder, limit: int = MAX_RUNGS, second: float = CLOSER
) -> Judgement | None:
    """Add rungs until the claim is settled; None if there is no slope to hold it against.

    Where the `second` rung is a wider one, what its error bar excused is not settled yet.
    """

    def enough(e: Estimate) -> bool:
        """Whether more rungs would tell nothing new."""
        excess, bar, allowed = claim.excess(e), e.error + e.kink, claim.allowed(e.value)
        if ladder.kinked(e):
            return True
        if second > 0 and excess <= 0:
            return bar <= allowed
        if second <= 0 and excess <= e.error:
            return bar <= max(allowed, 3 * e.round_off)
        return bool(ladder.closer(e)) and excess > SURE * bar

    best = ladder.climb(enough, limit, second)
    if best is None:
        return None
    judged = judge(claim, ladder, best)
    vague = best.error + best.kink > VAGUE * abs(best.value)
    if judged.verdict is Verdict.WRONG and vague:
        # A loss that waves many times within the steps has slopes that all miss it: before
        # that is held against the gradient, look as close as the noise permits.
        nearest = ladder.nearest(0.1 * abs(claim.slope - best.value))
        if nearest < ladder.lowest - 1:
            judged = judge(claim, ladder, ladder.climb(enough, second=nearest) or best)
    if judged.verdict in (Verdict.WRONG, Verdict.UNRESOLVED) and (other := ladder.at_other_noise()):
        # Of a staircase or a wave, two slopes may be meant: wrong is what is neither. One so vague
        # that the first fits it as well says nothing.
        elsewhere = examine(claim, other)
        if elsewhere and elsewhere.verdict is Verdict.AGREE:
            bar = elsewhere.slope.error + elsewhere.slope.kink
            if bar < abs(claim.slope - judged.slope.value):
                return elsewhere._replace(reason=Reason.STAIRCASE)
    return judged


def judge(claim: Claim, ladder: Ladder, e: Estimate) -> Judgement:
    """Hold a claim against the best slope of a ladder."""
    atol = max(claim.atol, ladder.bend(claim.around), ladder.silence())
    claim = claim._replace(atol=atol)
    excess, allowed = claim.excess(e), claim.allowed(e.value)
    verdict, reason = Verdict.AGREE, Reason.GRADIENT
    if not math.isfinite(claim.slope):
        verdict = Verdict.WRONG
    elif e.kink > allowed and ladder.kinked(e):
        # The two one-sided slopes differ however small the step: the loss bends at the point.
        between = excess <= SURE * e.error + e.kink
        verdict, reason = Verdict.KINK if between else Verdict.WRONG, Reason.KINK
    elif excess <= 0:
        pass
    elif excess <= SURE * e.error:
        reason = Reason.ROUND_OFF
    elif e.settled and excess <= SURE * e.error + e.kink:
        reason = Reason.NOISE
    elif not e.settled and all(abs(r.jump) > 10 * r.bar for r in ladder.closer(e)):
        # Slopes that still run away at the smallest steps, as where the loss jumps.
        verdict, reason = Verdict.UNRESOLVED, Reason.TRUNCATION
    else:
        verdict = Verdict.WRONG
    return Judgement(verdict, reason, e, allowed)
