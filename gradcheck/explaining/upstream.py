"""What is said of a back-pass that is not linear in the upstream gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradcheck.explaining.evidence import Finding
from gradcheck.measuring.layer import LARGE

BENDS = (
    "a clip, a threshold or a mask made of the upstream gradient; or a term that it does not "
    "multiply, such as a penalty"
)


def upstream_findings(growth: Mapping[str, float]) -> tuple[Finding, ...]:
    """Name what the growth of the slopes of each array says of how they use the upstream gradient.

    Examples
    --------
    >>> [finding[:2] for finding in upstream_findings({"W": 1e6, "b": 1.0})]
    [('W', 'not linear in the upstream gradient'), ('b', 'ignores the upstream gradient')]
    """
    groups: dict[float, list[str]] = {}
    for name, ratio in growth.items():
        groups.setdefault(0.0 if math.isnan(ratio) else float(f"{ratio:.2g}"), []).append(name)
    findings = []
    for ratio, names in groups.items():
        times = f"an upstream gradient {LARGE:,.0f} times as large gives slopes"
        look_at = BENDS
        if ratio == 1:
            evidence = f"{times} that are the same"
            look_at = "does the upstream gradient (dout) come into this line at all?"
        elif ratio == LARGE:
            evidence = "of a sum of two upstream gradients it does not make the sum of what it "
            evidence += "makes of each"
        elif ratio:
            evidence = f"{times} {ratio:,.0f} times as large"
            look_at = "does the upstream gradient come in twice?"
            if ratio in (abs(LARGE), -1):
                look_at = "an `abs`, a norm or a mean by which the upstream gradient is divided"
        else:
            evidence = f"{times} that are not {LARGE:,.0f} times as large"
        what = "ignores" if ratio == 1 else "not linear in"
        findings.append(
            Finding(", ".join(names), f"{what} the upstream gradient", evidence, look_at)
        )
    return tuple(findings)
