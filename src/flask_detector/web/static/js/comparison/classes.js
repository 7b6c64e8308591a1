/** Which classes are shown of both results, and how many objects each of these has of them. */

/** @param {HTMLFormElement} form @param {import("./comparison.js").Comparison} comparison */
export function connectClasses(form, comparison) {
  const chosen = /** @type {HTMLElement} */ (form.querySelector(".comparison-chosen"));
  const rows = [.../** @type {NodeListOf<HTMLTableRowElement>} */ (form.querySelectorAll("tbody tr"))];
  const boxes = rows.map((row) => /** @type {HTMLInputElement} */ (row.querySelector("input")));

  function show() {
    const numbers = comparison.instances.map((all) => numbersOf(all.filter(({ score }) => score >= comparison.score)));
    for (const [i, row] of rows.entries()) {
      const ofBoth = numbers.map((one) => one.get(boxes[i].value) ?? 0);
      row.querySelectorAll("td").forEach((cell, side) => (cell.textContent = String(ofBoth[side])));
      row.hidden = !ofBoth.some(Boolean) && !boxes[i].checked;
    }
    const { only } = comparison;
    chosen.textContent = only.size ? `Classes: ${[...only].join(", ")}` : "All classes";
  }

  boxes.forEach((box) =>
    box.addEventListener("change", () => comparison.setOnly(boxes.filter(({ checked }) => checked).map(({ value }) => value))),
  );
  comparison.addEventListener("change", show);
  show();
}

/** @param {import("../result/main.js").Instance[]} instances */
function numbersOf(instances) {
  /** @type {Map<string, number>} */
  const numbers = new Map();
  instances.forEach(({ label }) => numbers.set(label, (numbers.get(label) ?? 0) + 1));
  return numbers;
}
