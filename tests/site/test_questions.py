"""Each page to learn from ends with questions, whose answers are there without JavaScript."""

from __future__ import annotations

import re

import pytest
from conftest import PAGES, ROOT, Site

TO_LEARN_FROM = [
    page
    for page in PAGES
    if page.startswith(("learn/", "understand/")) and page != "learn/exercises.md"
]
ANSWER = re.compile(
    r"<details markdown>\n<summary>(.*?)</summary>\n\n(.*?)\n\n</details>", re.DOTALL
)


def questions(page: str) -> dict[str, list[tuple[str, str]]]:
    """Give what is asked at the end of a page, each with its answers and what they say."""
    (asked,) = re.findall(
        r"^## Questions\n(.*?)(?=^## |\Z)", (ROOT / "docs" / page).read_text(), re.M | re.S
    )
    _, *parts = re.split(r"^### (.*)\n", asked, flags=re.MULTILINE)
    return {
        question: ANSWER.findall(text)
        for question, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("page", TO_LEARN_FROM)
def test_two_or_three_questions_ask_why(page: str) -> None:
    asked = questions(page)
    assert 2 <= len(asked) <= 3
    assert all(question.endswith("?") for question in asked)
    assert any(re.search(r"\bwhy\b", question, re.IGNORECASE) for question in asked)


@pytest.mark.parametrize("page", TO_LEARN_FROM)
def test_one_answer_is_right_and_every_other_is_told_what_it_overlooks(page: str) -> None:
    for question, answers in questions(page).items():
        assert len(answers) >= 3, question
        verdicts = [re.match(r"\*\*(Yes|No)\.\*\* ", text) for _, text in answers]
        assert sorted(found[1] for found in verdicts if found) == [
            *["No"] * (len(answers) - 1),
            "Yes",
        ], question
        assert all(len(text.split()) > 6 for _, text in answers), question


@pytest.mark.parametrize("page", TO_LEARN_FROM)
def test_the_right_answer_is_not_always_in_the_same_place(page: str) -> None:
    places = {
        [text.startswith("**Yes.**") for _, text in answers].index(True)
        for answers in questions(page).values()
    }
    assert len(places) > 1


@pytest.mark.parametrize("page", TO_LEARN_FROM)
def test_the_browser_opens_an_answer_by_itself(site: Site, page: str) -> None:
    html = (site.path / page.removesuffix(".md") / "index.html").read_text()
    for answers in questions(page).values():
        for summary, _ in answers:
            plain = re.escape(re.sub(r"[`*]", "", summary))
            assert re.search(rf"<details>\s*<summary>{plain}</summary>\s*<p>", html), summary
