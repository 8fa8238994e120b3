"""Set LaTeX as MathML when the site is built: no script, no request, and screen readers read it."""

from __future__ import annotations

import html
import re
from typing import Any

from math_core import LatexError, LatexToMathML
from mkdocs.plugins import get_plugin_logger

log = get_plugin_logger("maths")

# What pymdownx.arithmatex leaves, and the punctuation behind it, kept on the same line.
FORMULA = re.compile(
    r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>([.,;:!?)\]]*)', re.DOTALL
)


def on_page_content(content: str, *, page: Any, config: Any, files: Any) -> str:
    """Replace each formula; one that cannot be set is a warning, which fails a strict build."""
    converter = LatexToMathML(annotation=False)

    def mathml(formula: re.Match[str]) -> str:
        latex = html.unescape(formula[2]).strip()
        display = formula[1] == "div"
        try:
            made = converter.convert_with_local_state(latex, displaystyle=display)
        except LatexError as error:
            log.warning("docs/%s: cannot set $%s$: %s", page.file.src_uri, latex, error)
            return formula[0]
        if display:
            return f'<div class="formula">{made}</div>{formula[3]}'
        return f'<span class="formula">{made}{formula[3]}</span>'

    return FORMULA.sub(mathml, content)
