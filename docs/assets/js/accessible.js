// What Material leaves unnamed, or out of reach of the keyboard.
const scrolling =
  ".tabbed-labels, .output, .figure, div.formula, .md-typeset__scrollwrap, pre > code"
let waiting = false

const entitle = () => {
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search")
  document
    .querySelectorAll(".md-code__nav")
    .forEach((nav, number) => nav.setAttribute("aria-label", `Code block ${number + 1}`))
}

const reach = () => {
  waiting = false
  /** @type {NodeListOf<HTMLElement>} */
  const boxes = document.querySelectorAll(scrolling)
  for (const box of boxes)
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0
    else box.removeAttribute("tabindex")
}

const soon = () => {
  if (!waiting) requestAnimationFrame(reach)
  waiting = true
}

const both = () => {
  entitle() // at once, for no one may meet two that are alike
  soon()
}

new MutationObserver(both).observe(document.body, { childList: true, subtree: true })
addEventListener("resize", soon)
both()
