"""A matplotlib backend: `plt.show()` makes an inline SVG in the ink of the page.

Colours are set in `matplotlibrc` beside this file and become CSS variables here, so that a figure
follows the reader's light or dark mode. The text alternative of a figure is its title.
"""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    for name, colour in colours(mpl.rcParams).items():
        text = text.replace(colour, name)
    text = re.sub(r"font: [^;\"]*?([\d.]+px) [^;\"]*", r"font-size: \1", text)
    width, height = figure.get_size_inches() * 72
    label = html.escape(alternative.replace("$", ""), quote=True)
    opening = (
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {width:g} {height:g}" '
        f'style="--width: {width:g}">'
    )
    return opening + text[text.index(">") + 1 :]


def colours(settings: Any) -> dict[str, str]:
    """Give the colours of the page by their names in CSS, and those that are drawn for them."""
    series = settings["axes.prop_cycle"].by_key()["color"]
    named = {f"var(--figure-{number})": to_hex(colour) for number, colour in enumerate(series)}
    return {"currentColor": to_hex(settings["text.color"])} | named


def alone(svg: str) -> str:
    """Give a figure of the page its own colours and size back, and white paper."""
    settings = mpl.rc_params_from_file(
        Path(__file__).with_name("matplotlibrc"), use_default_template=False
    )
    for name, colour in colours(settings).items():
        svg = svg.replace(name, colour)
    opening = (
        r'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        r'width="\2" height="\3" \1 style="background: white; font-family: sans-serif">'
    )
    return re.sub(r'<svg (.*? viewBox="0 0 (\S+) (\S+)") style="[^"]*">', opening, svg, count=1)
