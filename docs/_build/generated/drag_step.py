"""Draw the figure whose step is dragged: the loss with tangent and secant, and the V beside it.

All numbers are the package's. `assets/js/follow.js` moves the parts as the slider says.
"""

from __future__ import annotations

import html
import json
import math
from typing import Any

import numpy as np

from gradcheck import directional_derivative

W = 0.3
STEPS = np.logspace(-13, 0, 53)
START = 50  # the step that the figure shows where nothing moves


def loss(w: Any) -> Any:
    """Bend the more, the further to the left."""
    return np.exp(-2.0 * w) + 0.5 * w


def main() -> None:
    """Print the figure, and for each step where its parts are."""
    slope = -2 * math.exp(-2 * W) + 0.5
    frames = [frame(float(step), slope) for step in STEPS]
    curve = " ".join("{},{}".format(*place(w)) for w in np.linspace(-0.75, 1.5, 60))
    errors = [frames[n]["dot"] for n in range(len(frames))]
    start = frames[START]

    def part(name: str, tag: str, more: str) -> str:
        given = " ".join(f'{key}="{value}"' for key, value in start[name].items())
        return f'<{tag} class="{name}" {given} {more}/>'

    label = "Left, the loss with its tangent and the secant of a step. Right, the error of the "
    svg = [
        f'<svg role="img" aria-label="{label}secant for each step: a V." viewBox="0 0 640 270" '
        'style="--width: 640" font-size="13" fill="none" stroke-width="2">',
        '<path d="M20 230H300M360 230H630M360 230V20" stroke="currentColor" stroke-width="1"/>',
        f'<polyline points="{curve}" stroke="var(--figure-0)"/>',
        line(slope, 'stroke="var(--figure-2)"'),
        part("secant", "line", 'stroke="var(--figure-1)" stroke-dasharray="6 4"'),
        *(part(end, "circle", 'r="4.5" fill="var(--figure-1)"') for end in ("left", "right")),
        *(
            f'<circle cx="{dot["cx"]}" cy="{dot["cy"]}" r="2.5" fill="var(--figure-0)"/>'
            for dot in errors
        ),
        part("dot", "circle", 'r="6.5" fill="var(--figure-1)"'),
        '<g fill="currentColor"><text x="215" y="40" fill="var(--figure-0)">loss</text>'
        '<text x="215" y="60" fill="var(--figure-2)">tangent</text>'
        '<text x="215" y="80" fill="var(--figure-1)">secant</text>'
        '<text x="160" y="262" text-anchor="middle">w</text>'
        '<text x="495" y="262" text-anchor="middle">step h</text>'
        '<text x="370" y="32">relative error of the secant</text>',
        *(
            f'<text x="{across(10.0**power)}" y="247" text-anchor="middle">1e{power}</text>'
            for power in (-12, -8, -4, 0)
        ),
        *(
            f'<text x="354" y="{down(10.0**power)}" text-anchor="end">1e{power}</text>'
            for power in (-10, -5, 0)
        ),
        "</g></svg>",
    ]
    data = html.escape(json.dumps(frames))
    print(f'<div class="figure follow" data-frames="{data}">{"".join(svg)}')
    print(
        '<label hidden>The step h <input type="range" min="0" '
        f'max="{len(STEPS) - 1}" value="{START}"></label> <output>{start["text"]}</output></div>'
    )


def frame(step: float, slope: float) -> dict[str, Any]:
    """Say where the moving parts are at this step, and what is to be read."""
    secant = float(directional_derivative(loss, W, 1.0, step=step).value)
    error = abs(secant - slope) / abs(slope)
    (x1, y1), (x2, y2) = place(W - step), place(W + step)
    middle = (loss(W - step) + loss(W + step)) / 2
    (a, b), (c, d) = (place(w, middle + secant * (w - W)) for w in (-0.75, 1.5))
    return {
        "secant": {"x1": a, "y1": b, "x2": c, "y2": d},
        "left": {"cx": x1, "cy": y1},
        "right": {"cx": x2, "cy": y2},
        "dot": {"cx": across(step), "cy": down(error)},
        "text": f"h = {step:.0e}: the secant rises by {secant:.6f}, the tangent by {slope:.6f}.",
    }


def line(slope: float, more: str) -> str:
    """Draw the tangent."""
    (a, b), (c, d) = (place(w, loss(W) + slope * (w - W)) for w in (-0.75, 1.5))
    return f'<line x1="{a}" y1="{b}" x2="{c}" y2="{d}" {more}/>'


def place(w: float, height: float | None = None) -> tuple[float, float]:
    """Give the place of a point of the plot on the left."""
    height = float(loss(w)) if height is None else float(height)
    return round(20 + (w + 0.75) * 124, 1), round(225 - height * 48, 1)


def across(step: float) -> float:
    """Give the place of a step on the right."""
    return round(375 + (math.log10(step) + 13) * 19, 1)


def down(error: float) -> float:
    """Give the height of an error on the right; none at all is at the bottom."""
    return round(45 - max(math.log10(max(error, 1e-12)), -12.0) * 15, 1)


if __name__ == "__main__":
    main()
