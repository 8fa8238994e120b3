// Blocks that a reader can edit and run in the page. Nothing is loaded before somebody asks for it.
import { compared, element, output } from "./output.js"
import { run, started, stop } from "./python.js"

/** @typedef {{ box: HTMLElement, number: number, session: string, original: string, code: string }} Cell */

/** A block as it stands in the page. @param {HTMLElement} box @returns {Cell} */
const cell = (box) => {
  const { block, session } = box.dataset
  const original = (box.querySelector("pre code")?.textContent ?? "").replace(/\n$/, "")
  return { box, number: Number(block) + 1, session: session ?? "", original, code: original }
}

/** @param {Cell} cell */
const block = ({ box, number, code }) => ({ number, code, raises: box.dataset.raises ?? "" })

const SAID = {
  error: "An error.",
  cut: "Stopped: that was too much.",
  stopped: "Stopped.",
  dead: "Python itself broke down. It starts anew.",
}

/** What to do where Python cannot start. */
const sorry = () => {
  const links = [...document.querySelectorAll(".about a[download]")]
  const script = links.find((link) => link.textContent?.startsWith("script"))?.cloneNode()
  script?.appendChild(new Text("Download the code of this page"))
  const way = script ? [script, " and run it on your machine."] : []
  return ["Python cannot be loaded here. Is there a network? ", ...way]
}

/** Let the reader edit a block. @param {Cell} me */
const addButtons = (me) => {
  const { box, number, session } = me
  const frame = /** @type {HTMLElement} */ (box.querySelector(".highlight"))
  const notebook = box.closest("[data-notebook]") !== null
  /** @type {import("./editor.js").Editor | undefined} */
  let editor
  let printed = box.querySelector(".output")
  let shown = printed
  let busy = false

  /** @param {string} textContent @param {() => void} onclick */
  const button = (textContent, onclick) =>
    element("button", { type: "button", textContent, onclick, hidden: true })
  const go = button("Edit and run", () => execute())
  const halt = button("Stop", () => stop("stopped"))
  const reset = button("Reset", () => restore())
  const status = element("span", { role: "status" })
  const bar = element("div", { className: "run" }, go, halt, reset, status)
  go.hidden = false
  frame.after(bar)

  /** Show one button in place of another. @param {HTMLElement} from @param {HTMLElement} to */
  const swap = (from, to) => {
    const focused = document.activeElement === from
    from.hidden = true
    to.hidden = false
    if (focused) to.focus()
  }

  /** @param {Element | null} next */
  const show = (next) => {
    shown?.remove()
    if (next) bar.after(next)
    shown = next
  }

  const open = async () => {
    const module = await import("./editor.js")
    if (editor) return
    const label = `Python code, block ${number}. Ctrl+Enter runs it. Escape, then Tab leaves it.`
    editor = module.open(frame, me.code, {
      label,
      run: () => execute(),
      change: (code) => {
        me.code = code
        box.dispatchEvent(new CustomEvent("edited", { detail: code }))
      },
    })
    frame.querySelector("pre")?.setAttribute("hidden", "")
    for (const name of ["tabindex", "role", "aria-multiline", "aria-label"])
      frame.removeAttribute(name)
    go.textContent = "Run"
    reset.hidden = false
    editor.focus()
  }

  /** The block is an editor from the start: it opens as soon as somebody comes to it. */
  const invite = () => {
    frame.tabIndex = 0
    frame.role = "textbox"
    frame.ariaMultiLine = "true"
    frame.ariaLabel = `Python code, block ${number}, to be edited`
    frame.onfocus = () => open().catch(() => status.replaceChildren(...sorry()))
    go.textContent = "Run"
  }

  const execute = async () => {
    if (busy) return
    busy = true
    try {
      swap(go, halt)
      await open()
      status.textContent = started() ? "Running…" : "Starting Python: 9 MB, once…"
      const needed = cells.filter(
        (one) => one === me || (session && one.session === session && one.number < number),
      )
      const blocks = needed.map(block)
      const edited = needed.some((one) => one.code !== one.original)
      /** @type {import("./output.js").Part[]} */
      const parts = []
      const how = await run({ session, notebook, blocks }, (kind, text) => {
        parts.push({ kind, text })
        show(output(parts, false))
      })
      if (!parts.length) show(null)
      else if (how === "error") show(output(parts, true))
      const text = parts.map((part) => part.text).join("")
      const before = (!notebook && printed?.textContent) || ""
      status.textContent = how === "done" ? compared(before, text, edited) : SAID[how]
    } catch (error) {
      console.info(error)
      status.replaceChildren(...sorry())
    } finally {
      busy = false
      swap(halt, go)
    }
  }

  const restore = () => {
    me.code = me.original
    if (editor) editor.code = me.code
    show(printed)
    status.textContent = ""
  }

  // Another example takes this one's place.
  box.addEventListener("code", (event) => {
    me.original = /** @type {CustomEvent<string>} */ (event).detail
    const written = frame.querySelector("pre code")
    if (written) written.textContent = me.original
    printed = null
    restore()
  })
  if (box.dataset.run === "open") invite()
}

const cells = [...document.querySelectorAll(".executed")].map((box) =>
  cell(/** @type {HTMLElement} */ (box)),
)
for (const me of cells) if (me.box.dataset.run !== undefined) addButtons(me)
