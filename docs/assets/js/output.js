// What a block prints in the page, and whether it is what was printed when the site was built.

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {object} properties
 * @param {(string | Node)[]} children
 */
export const element = (tag, properties, ...children) => {
  const made = Object.assign(document.createElement(tag), properties)
  made.append(...children)
  return made
}

/** Fold long lines, as the built outputs do. @param {string} text @param {number} long */
const folded = (text, long) =>
  text
    .split(new RegExp(`^(.{${long},})$`, "m"))
    .map((part, index) => (index % 2 ? element("span", { className: "long" }, part) : part))

/** Keep of HTML that code has made text and tables, and nothing that acts. @param {string} html */
const harmless = (html) => {
  const { body } = new DOMParser().parseFromString(html, "text/html")
  for (const node of body.querySelectorAll("*")) {
    if (!node.matches("p, b, br, code, em, ul, li, table, thead, tbody, tr, th, td")) node.remove()
    for (const { name } of [...node.attributes]) node.removeAttribute(name)
  }
  return [...body.childNodes]
}

/** @typedef {{ kind: "text" | "html", text: string }} Part */

/** @param {Part[]} parts @param {boolean} error */
export const output = (parts, error) => {
  const long = error ? 1 : 81
  if (parts.every(({ kind }) => kind === "text")) {
    const text = parts.map((part) => part.text).join("")
    return element("pre", { className: "output" }, element("samp", {}, ...folded(text, long)))
  }
  const shown = parts.flatMap(({ kind, text }) =>
    kind === "html" ? harmless(text) : [element("pre", {}, ...folded(text, long))],
  )
  return element("div", { className: "output" }, ...shown)
}

const NUMBER = /\d+\.?\d*(?:e[-+]?\d+)?/g

/** Say how the texts compare. @param {string} printed @param {string} text */
export const compared = (printed, text) => {
  if (!text && !printed) return "Done."
  if (text === printed) return "The same as printed."
  const words = [printed, text].map((said) => said.replace(NUMBER, "#"))
  const [before, now] = [printed, text].map((said) => (said.match(NUMBER) ?? []).map(Number))
  const near = now.every(
    (value, index) => Math.abs(value - before[index]) <= 1e-6 * Math.abs(value),
  )
  return words[0] === words[1] && near
    ? "The same as printed, but for round-off."
    : "Not what was printed."
}
