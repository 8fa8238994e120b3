"""Set LaTeX as MathML when the site is built: no script, no request, and screen readers read it."""

from __future__ import annotations

import html
import re
from typing import Any

from math_core import LatexError, LatexToMathML
from mkdocs.exceptions import PluginError

# What pymdownx.arithmatex leaves, and the punctuation behind it, kept on the same line.
FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>([.,;:!?)\]]*)', re.DOTALL
)


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> str:
    """Replace each formula of the page."""
    converter = LatexToMathML(annotation=False)

    def mathml(formula: re.Match[str]) -> str:
        latex = html.unescape(formula[2]).strip()
        display = formula[1] == "div"
        try:
            made = converter.convert_with_local_state(latex, displaystyle=display)
        except LatexError as error:
            raise PluginError(f"docs/{page.file.src_uri}: cannot set ${latex}$: {error}") from None
        if display:
            return f'<div class="formula">{made}</div>{formula[3]}'
        return f'<span class="formula">{made}{formula[3]}</span>'

    return FORMULA.sub(mathml, content)
