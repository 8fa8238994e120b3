// Figures that follow a slider or boxes to tick. What they show was computed when the site was built.
for (const figure of /** @type {NodeListOf<HTMLElement>} */ (
  document.querySelectorAll(".follow")
)) {
  const inputs = figure.querySelectorAll("input")
  /** @type {({ text: string } & Record<string, Record<string, string>>)[]} */
  const frames = JSON.parse(figure.dataset.frames ?? "")

  const follow = () => {
    let number = 0
    inputs.forEach(({ type, checked, value }, place) => {
      number += type === "range" ? Number(value) : Number(checked) * 2 ** place
    })
    const { text, ...parts } = frames[number]
    for (const [name, attributes] of Object.entries(parts))
      for (const [attribute, value] of Object.entries(attributes))
        figure.querySelector(`.${name}`)?.setAttribute(attribute, value)
    figure.querySelector("output")?.replaceChildren(text)
    if (inputs[0].type === "range") inputs[0].ariaValueText = text
  }

  for (const label of figure.querySelectorAll("[hidden]")) label.removeAttribute("hidden")
  figure.oninput = follow
  follow()
}
