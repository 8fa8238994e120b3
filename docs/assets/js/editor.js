// The editor, loaded when a reader opens the first one.
import * as codemirror from "./codemirror.js"

const { EditorState, EditorView, keymap } = codemirror

/**
 * @typedef {object} Editor
 * @property {string} code
 * @property {() => void} focus
 *
 * @param {HTMLElement} parent
 * @param {string} doc
 * @param {{ label: string, run: () => void, change: (code: string) => void }} options
 * @returns {Editor}
 */
export const open = (parent, doc, { label, run, change }) => {
  const keys = [
    { key: "Mod-Enter", run: () => (run(), true) },
    { key: "Tab", run: codemirror.indentMore, shift: codemirror.indentLess },
    ...codemirror.defaultKeymap,
    ...codemirror.historyKeymap,
  ]
  const view = new EditorView({
    doc,
    parent,
    extensions: [
      keymap.of(keys),
      codemirror.history(),
      codemirror.indentOnInput(),
      codemirror.indentUnit.of("    "),
      codemirror.bracketMatching(),
      codemirror.pythonLanguage,
      codemirror.syntaxHighlighting(codemirror.classHighlighter),
      EditorState.tabSize.of(4),
      EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
      EditorView.updateListener.of((/** @type {any} */ update) => {
        if (update.docChanged) change(update.state.doc.toString())
      }),
    ],
  })
  return {
    get code() {
      return view.state.doc.toString()
    },
    set code(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } })
    },
    focus: () => view.focus(),
  }
}
