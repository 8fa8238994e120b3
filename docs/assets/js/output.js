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

const ROW = ".*\\S {2,}\\S.* {2,}\\S.*" // of a table: its columns stand apart

/** Mark long lines and rows of tables, as the built outputs do. @param {string} text @param {number} long */
const folded = (text, long) => {
  const lines = new RegExp(`(^.{${long},}$)|(?:^(?!.{${long},}$)${ROW}\\n?)+`, "gm")
  const parts = []
  let end = 0
  for (const match of text.matchAll(lines)) {
    const marked = element("span", { className: match[1] ? "long" : "rows" }, match[0])
    parts.push(text.slice(end, match.index), marked)
    end = match.index + match[0].length
  }
  const shown = element("samp", {}, ...parts, text.slice(end))
  const rows = text.match(new RegExp(ROW, "g")) ?? [""]
  shown.style.setProperty("--columns", `${Math.max(...rows.map((row) => row.length))}`)
  return shown
}

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
    return element("pre", { className: "output" }, folded(text, long))
  }
  const shown = parts.flatMap(({ kind, text }) =>
    kind === "html" ? harmless(text) : [element("pre", {}, folded(text, long))],
  )
  return element("div", { className: "output" }, ...shown)
}

/** Leave out numbers and the width of columns. @param {string} text */
const words = (text) => text.replace(/<?\d+\.?\d*(e[-+]?\d+)?/g, "#").replace(/\s+/g, " ")

/**
 * Say how an output compares with the printed one.
 * @param {string} printed
 * @param {string} text
 * @param {boolean} edited
 */
export const compared = (printed, text, edited) => {
  if (!printed) return "Done."
  if (text === printed) return "The same as printed."
  if (edited) return "Not as printed: the code has changed."
  if (words(text) !== words(printed)) return "Not what was printed."
  return "The same as printed, but for round-off: another NumPy, another processor."
}
