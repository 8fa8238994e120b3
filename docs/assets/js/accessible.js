// What Material leaves unnamed or out of reach of the keyboard.
const scrolling = ".output, .figure, div.formula, .md-typeset__scrollwrap"

const mend = () => {
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search")
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((nav, number) =>
    nav.setAttribute("aria-label", `Code block ${number + 1}`))
  for (const box of document.querySelectorAll(scrolling))
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0
    else box.removeAttribute("tabindex")
}

new MutationObserver(mend).observe(document.body, { childList: true, subtree: true })
addEventListener("resize", mend)
mend()
