"""A matplotlib backend: `plt.show()` makes an inline SVG in the ink of the page.

Colours are set in `matplotlibrc` beside this file and become CSS variables here, so that a figure
follows the reader's light or dark mode. The text alternative of a figure is its title.
"""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FigureCanvas = FigureCanvasSVG
_shown: list[str] = []
_mistakes: list[str] = []


def show(*_args: object, **_kwargs: object) -> None:
    """Turn the open figures into SVG (called by `plt.show`)."""
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
        if not any(titles):
            _mistakes.append("a figure has no title: it is the text alternative (ax.set_title)")
        _shown.append(svg(figure, ". ".join(title for title in titles if title)))
    pyplot.close("all")


def take() -> tuple[list[str], str]:
    """Give the figures shown since last time, and what is wrong with them."""
    if pyplot.get_fignums():
        _mistakes.append("a figure was drawn but not shown: end with plt.show()")
        pyplot.close("all")
    figures, mistakes = _shown.copy(), "\n".join(_mistakes)
    _shown.clear()
    _mistakes.clear()
    return figures, mistakes


def svg(figure: Figure, alternative: str) -> str:
    """Draw the figure as an SVG element, the same each time."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    # Ink and series colours are the page's; text is in the page's font, at the size drawn here.
    text = text.replace(to_hex(mpl.rcParams["text.color"]), "currentColor")
    for number, colour in enumerate(mpl.rcParams["axes.prop_cycle"].by_key()["color"]):
        text = text.replace(to_hex(colour), f"var(--figure-{number})")
    text = re.sub(r"font: [^;\"]*?([\d.]+px) [^;\"]*", r"font-size: \1", text)
    width, height = figure.get_size_inches() * 72
    label = html.escape(alternative.replace("$", ""), quote=True)
    opening = (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {width:g} {height:g}" '
        f'style="--width: {width:g}">'
    )
    return opening + text[text.index(">") + 1 :]
