// Python for this page, in one worker that starts with the first run.
/** @typedef {{ number: number, code: string, raises: string }} Block */
/** @typedef {{ session: string, notebook: boolean, blocks: Block[] }} Task */
/** @typedef {"done" | "error" | "cut" | "stopped" | "dead"} Outcome */
/** @typedef {(kind: "text" | "html", text: string) => void} Show */

/** @type {{ worker: Worker, ready: Promise<void> } | undefined} */
let python
/** @type {Map<number, { show: Show, end: (how: Outcome) => void }>} */
const runs = new Map()
let count = 0

export const started = () => python !== undefined

const start = () => {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" })
  /** @type {Promise<void>} */
  const ready = new Promise((resolve, reject) => {
    worker.onerror = reject
    worker.onmessage = ({ data: { id, kind, text } }) => {
      if (kind === "ready") resolve()
      else if (kind === "failed") reject(new Error(text))
      else if (kind === "dead") stop("dead")
      else if (kind === "text" || kind === "html") runs.get(id)?.show(kind, text)
      else runs.get(id)?.end(kind)
    }
  })
  ready.catch(() => {
    if (python?.worker === worker) python = undefined // the next run tries again
  })
  python = { worker, ready }
  return python
}

/** End all runs, however busy, and be ready for the next. @param {Outcome} how */
export const stop = (how) => {
  python?.worker.terminate()
  for (const run of runs.values()) run.end(how)
  start()
}

/**
 * Run the last block of a task, and show what it prints as it comes.
 * @param {Task} task
 * @param {Show} show
 * @returns {Promise<Outcome>} rejected where Python cannot start
 */
export const run = async (task, show) => {
  const id = (count += 1)
  /** @type {Promise<Outcome>} */
  const ended = new Promise((end) => runs.set(id, { show, end }))
  try {
    const { worker, ready } = python ?? start()
    await Promise.race([ready, ended])
    worker.postMessage({ id, task })
    return await ended
  } finally {
    runs.delete(id)
  }
}
