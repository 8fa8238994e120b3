"""Write the boxes to tick: which arrays of the network are wrong, and what the package says of it.

For each of the 64 patterns a gradient is spoiled in just these arrays, and checked. The suspects
are the faults of the catalogue that give the pattern. `assets/js/follow.js` shows them.
"""

from __future__ import annotations

import html
import json
from typing import Any

import numpy as np

from gradcheck import check_gradient
from gradcheck.learning import neural_network
from gradcheck.learning.faults import CATALOGUE

NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")
START = ("W1", "b1", "W2", "b2")  # as on the page

rng = np.random.default_rng(0)
params = neural_network.initial_parameters((3, 3, 3, 3), rng)
for bias in NAMES[1::2]:
    params[bias] = rng.normal(size=3)
X = rng.normal(size=(20, 3))
y: Any = rng.integers(3, size=20)


def main() -> None:
    """Print the boxes, and what to read for each pattern."""
    suspects: dict[tuple[str, ...], list[str]] = {}
    for fault in CATALOGUE:
        if fault.model == "network" and not fault.needs:
            wrong = pattern(check(fault.gradient(params, X, y)))
            suspects.setdefault(wrong, []).append(fault.name)
    frames = []
    for number in range(2 ** len(NAMES)):
        names = tuple(name for place, name in enumerate(NAMES) if number >> place & 1)
        report = check(spoiled(names))
        assert pattern(report) == names, names
        words = [report.headline()]
        words += [
            f"{finding.where}: {finding.look_at}.".replace("?.", "?")
            for finding in report.findings[:1]
        ]
        if names:
            found = "; ".join(suspects.get(names, ["none has just this pattern"]))
            words.append(f"Suspects in the catalogue: {found}.")
        frames.append({"text": "\n".join(words)})
    data = html.escape(json.dumps(frames))
    print(f'<div class="follow" data-frames="{data}">')
    print("<fieldset hidden><legend>Tick the arrays that are wrong</legend>")
    for name in NAMES:
        ticked = " checked" if name in START else ""
        print(f'<label><input type="checkbox"{ticked}> {name}</label>')
    first = frames[sum(2**place for place, name in enumerate(NAMES) if name in START)]["text"]
    print(f"</fieldset><output>{html.escape(first)}</output></div>")


def check(gradient: Any) -> Any:
    """Check a gradient of the network."""
    return check_gradient(neural_network.loss, gradient, params, args=(X, y))


def pattern(report: Any) -> tuple[str, ...]:
    """Name the arrays in which something is wrong."""
    wrong = {entry.name.partition("[")[0] for entry in report.wrong}
    return tuple(name for name in NAMES if name in wrong)


def spoiled(names: tuple[str, ...]) -> dict[str, Any]:
    """Give the right gradient, but for these arrays: they have another factor in each entry."""
    gradient = dict(neural_network.gradient(params, X, y))
    for name in names:
        gradient[name] = gradient[name] * rng.uniform(1.5, 3.0, gradient[name].shape)
    return gradient


if __name__ == "__main__":
    main()
