// The tab Accuracy: how right the classifier is on labels that it has not seen.

import { byId, controls, element, plural } from "./elements.js";
import { className, model, show } from "./model.js";

const percent = (share) => `${(100 * share).toFixed(share === 1 ? 0 : 1)}\u00a0%`;

function bar({ right, count, interval }) {
  const [low, high] = interval;
  return element("div", { class: "bar", title: `95\u00a0% interval: ${percent(low)} to ${percent(high)}` },
    element("i", { style: { left: `${100 * low}%`, width: `${100 * (high - low)}%` } }),
    count > 0 && element("b", { style: { left: `${(100 * right) / count}%` } }));
}

function perClass(accuracy) {
  const rows = accuracy.rows.map((id) => {
    const share = accuracy.per_class[id];
    return element("tr", {}, element("td", { title: className(id) }, className(id)),
      element("td", {}, share.count ? percent(share.right / share.count) : "–"),
      element("td", {}, `${share.right} of ${share.count}`), element("td", {}, bar(share)));
  });
  const head = ["Class", "Right", "Photos", "95\u00a0% interval"].map((text) => element("th", { scope: "col" }, text));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

function openCell(accuracy, true_, given) {
  const photos = accuracy.cells[`${true_}-${given}`] ?? [];
  const words = true_ === given ? `${className(true_)}, predicted right` : `${className(true_)}, predicted as ${className(given)}`;
  byId("cell-title").textContent = `${plural(photos.length, "photo")}: ${words}`;
  show({ photos, source: "picked" });
  byId("cell-title").scrollIntoView({ block: "nearest" });
}

function matrix(accuracy) {
  const ids = accuracy.class_ids;  // those that the classifier knows; a check may be of another class
  const head = element("tr", {}, element("th", { scope: "col" }, "label ↓  predicted →"), ...ids.map((id) => element("th", { scope: "col", title: className(id) }, className(id))));
  const rows = accuracy.rows.map((row, y) => element("tr", {}, element("th", { scope: "row", title: className(row) }, className(row)),
    ...ids.map((column, x) => {
      const count = accuracy.confusion[y][x], kind = !count ? "" : x === y ? "right" : "wrong";
      const label = `label ${className(row)}, predicted ${className(column)}: ${plural(count, "photo")}`;
      return element("td", {}, element("button", { type: "button", class: kind, disabled: !count, "aria-label": label, title: label, onclick: () => openCell(accuracy, row, column) }, count || "·"));
    })));
  return element("div", { class: "scroll" }, element("table", { class: "matrix" }, element("thead", {}, head), element("tbody", {}, ...rows)));
}

function untrained(accuracy) {
  const names = accuracy.untrained.map(className).join(", ");
  const wrong = accuracy.unbiased ? " Random checks of them count as wrong." : "";
  return `Too few labels to train on: ${names}.${wrong} A class needs two labels or more that are no random checks.`;
}

export function results() {
  const accuracy = model.accuracy;
  byId("page").replaceChildren();
  show({ photos: [] });
  if (!accuracy) {
    controls(element("p", { class: "empty" }, "Label three photos or more of each of two classes. A share of them is then held out, and the accuracy is measured on those."));
    return;
  }
  const { right, count, interval } = accuracy.overall;
  const kind = accuracy.unbiased
    ? "Measured on random checks (Suggest › Random check): this is what to expect of the photos that had no label when they were drawn."
    : "Measured on a fifth of your labels. You chose them, so they are no random sample: Suggest › Random check gives one, of the photos that have no label when they are drawn.";
  controls(
    element("div", { class: "big" }, percent(right / count)),
    element("div", {}, `${right} of ${count} held-out photos; 95\u00a0% interval ${percent(interval[0])} to ${percent(interval[1])}`),
    bar(accuracy.overall),
    element("div", { class: "note-box" }, kind, " The measured classifier has not seen these labels."),
    accuracy.untrained.length > 0 && element("div", { class: "note-box", id: "untrained" }, untrained(accuracy)),
    element("h3", {}, "By class"), perClass(accuracy),
    accuracy.confusion && element("h3", {}, "What is taken for what"), accuracy.confusion && matrix(accuracy),
    element("h3", { id: "cell-title" }, "A number opens its photos"));
}
