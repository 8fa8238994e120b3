"""The one question: whether a slope is that of the loss, where it is neither clear nor a kink."""

import numpy as np
import pytest

from gradcheck.judging.judge import Claim, judge
from gradcheck.judging.table import Reason, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Parameters
from gradcheck.measuring.slopes import Estimate, Ladder, Rung, entry_line


def ladder() -> Ladder:
    """Two rungs over a jump that smaller steps, still above the noise, could look into."""
    parameters = Parameters(np.ones(1))
    evaluator = Evaluator(lambda w: float(w[0]), parameters, ())
    made = Ladder(entry_line(evaluator, 0, 0), evaluator, noise=1e-9, step=1e-3)
    made.rungs = {0.0: Rung(1e-3, 1.0, 0.1, 1e-6), 1.0: Rung(4e-3, 1.0, 0.1, 1e-6)}
    return made


@pytest.mark.parametrize(
    ("slope", "verdict", "reason"),
    [
        (1.0, Verdict.AGREE, Reason.GRADIENT),
        (1.01, Verdict.AGREE, Reason.ROUND_OFF),
        (1.05, Verdict.AGREE, Reason.NOISE),
        (1.10, Verdict.WRONG, Reason.GRADIENT),
    ],
)
def test_beside_a_kink_that_is_no_sure_one_a_slope_may_lie_between(
    slope: float, verdict: Verdict, reason: Reason
) -> None:
    estimate = Estimate(1.0, truncation=0.002, round_off=0.006, kink=0.05, step=1e-3)
    judged = judge(Claim(slope, rtol=1e-6, atol=0.0, around=0.0), ladder(), estimate)
    assert (judged.verdict, judged.reason) == (verdict, reason)
