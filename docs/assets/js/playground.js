// The playground: examples to choose from, and an address that keeps the code.
const box = /** @type {HTMLElement | null} */ (document.querySelector("[data-notebook] [data-run]"))
const form = /** @type {HTMLFormElement} */ (document.querySelector(".choice"))
const status = box?.querySelector("[role=status]")

/** Put code into the address. @param {string} code */
const keep = (code) => history.replaceState(null, "", `#code=${packed(code)}`)

/** Show code in the editor. @param {string} code @param {string} [about] */
const show = (code, about = "") => {
  keep(code)
  box?.dispatchEvent(new CustomEvent("code", { detail: code }))
  if (status) status.textContent = about
}

/** Code as it stands in an address: its length, and its bytes. @param {string} code */
const packed = (code) => {
  const bytes = new TextEncoder().encode(code)
  return `${bytes.length}.${btoa(String.fromCharCode(...bytes))}`
}

/** @param {string} text @returns {string} an error where the text is damaged */
const unpacked = (text) => {
  const [, length, base64] = text.match(/^(\d+)\.(.*)$/) ?? ["", "", "?"]
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  if (bytes.length !== Number(length)) throw new Error("a part is missing")
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
}

/** Show the code that the address keeps. */
const followLink = () => {
  const code = location.hash.match(/^#code=(.*)$/)?.[1]
  if (code === undefined) return
  try {
    show(unpacked(decodeURIComponent(code)), "This code came with the link. Read it, then run it.")
  } catch {
    if (status) status.textContent = "The link is damaged. This is the first example."
  }
}

const addChoice = () => {
  /** @type {Record<string, Record<string, string>>} */
  const models = JSON.parse(form.dataset.examples ?? "")
  const [model, fault] = form.querySelectorAll("select")
  /** @param {HTMLSelectElement} select @param {object} names */
  const fill = (select, names) =>
    select.replaceChildren(...Object.keys(names).map((name) => new Option(name)))
  fill(model, models)
  fill(fault, models[model.value])
  fault.value = "y_hat - y turned round"
  model.onchange = () => (fill(fault, models[model.value]), show(models[model.value][fault.value]))
  fault.onchange = () => show(models[model.value][fault.value])
  form.hidden = false
}

if (box) {
  addChoice()
  box.addEventListener("edited", (event) => keep(/** @type {CustomEvent<string>} */ (event).detail))
  followLink()
  addEventListener("hashchange", followLink)
}
