// Python, in a worker: so the page stays alive, and even an endless loop can be stopped.
const home = new URL("../pyodide/", import.meta.url).href

const start = async () => {
  const archive = fetch(`${home}gradcheck.zip`)
  const { loadPyodide } = await import(`${home}pyodide.mjs`)
  const python = await loadPyodide({ indexURL: home })
  await python.loadPackage("numpy", { messageCallback() {} })
  const response = await archive
  if (!response.ok) throw new Error(`${response.status} for ${response.url}`)
  python.unpackArchive(await response.arrayBuffer(), "zip")
  const { run } = python.pyimport("in_page.runner")
  python.runPython("import gradcheck.learning")
  return run
}
const run = start()

run.then(
  () => postMessage({ kind: "ready" }),
  (error) => postMessage({ kind: "failed", text: String(error) }),
)

onmessage = async ({ data: { id, task } }) => {
  /** @param {string} kind @param {string} [text] */
  const post = (kind, text) => postMessage({ id, kind, text })
  try {
    post((await run)(JSON.stringify(task), post))
  } catch (error) {
    // Python itself has come to its end, as when code calls itself without end.
    post("dead", String(error))
  }
}
