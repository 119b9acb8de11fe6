// The tabs: Look, Suggest, Clean.

import { get } from "./api.js";
import { button, byId, controls, element, plural, segments } from "./elements.js";
import { focusCard } from "./gallery.js";
import { attempt, className, emit, model, show, similarTo, similarToFile } from "./model.js";

const RULES = {
  typiclust: "Typical photos of groups that have no label yet (TypiClust, arXiv 2202.02794): best for the first labels.",
  margin_clusters: "Photos between two classes, no two of them alike (diverse mini-batch active learning, arXiv 1901.05954).",
};
let measure = "cosine", queue = "next", cleaning = "duplicates", query = null, turn = 0;

const note = (text) => element("p", {}, text);

// Answers may come late: only the last question's counts.
async function latest(action) {
  const mine = ++turn, answer = await action();
  return mine === turn ? answer : null;
}
export const leave = () => ++turn;

export const showSimilar = (photo) => {
  query = { photo };
  return look();
};
export const showFile = (file) => {
  query = { file };
  return look();
};
export const showRegion = (photos) => {
  query = { region: photos };
  return look();
};

export async function look() {
  const choose = segments("Compare by", [["cosine", "Cosine"], ["code", "1-bit code"]], measure, (value) => {
    measure = value;
    look();
  });
  if (!query) {
    controls(note("Click a photo on the map, draw a lasso around some, or drop one from your disk: its nearest neighbours appear here."));
    return show({ photos: [] });
  }
  if (query.region) {
    controls(note(`${plural(query.region.length, "photo")} in the region, all selected. Click a photo to leave it out.`));
    return show({ photos: query.region, source: "region" });
  }
  const title = query.file ? note(`The photos most like “${query.file.name}”`) : focusCard(query.photo);
  controls(title, element("div", { class: "row" }, choose, element("span", { class: "quiet" }, "nearest first")));
  const hits = await latest(() => (query.file ? similarToFile(query.file, measure) : similarTo(query.photo, measure)));
  if (!hits) return;
  const form = (score) => (measure === "cosine" ? score.toFixed(3) : `${score} bits`);
  const photos = hits.map(([photo]) => photo), notes = new Map(hits.map(([photo, score]) => [photo, form(score)]));
  show({ photos: query.file ? photos : [query.photo, ...photos], notes, source: "neighbours" });
}

export function refreshFocus() {
  const card = byId("controls").querySelector(".focus");
  if (card && query?.photo != null) card.replaceWith(focusCard(query.photo));
}

export async function suggest() {
  const kinds = [["next", "Label next"], ["check", "Random check"], ["class", "Predicted"]];
  const choose = segments("List", kinds, queue, (value) => {
    queue = value;
    suggest();
  });
  if (queue === "class") return predicted(choose);
  const text = note(queue === "check"
    ? "Drawn at random from the photos that have no label. Label all of them as they come: they measure the accuracy, are not trained on for that, and stay checks when their class changes."
    : "…");
  const more = button("Others", suggest);
  more.hidden = queue === "check";
  controls(choose, element("div", { class: "beside" }, text, more));
  const answer = await latest(() => attempt(() => get(queue === "check" ? "check?count=24" : "suggestions?count=24")));
  if (!answer) return;
  if (answer.rule) text.textContent = RULES[answer.rule];
  show({ photos: answer.photos, source: queue === "check" ? "check" : "suggested" });
}

let predictedClass = null;
function predicted(choose) {
  const found = model.predictions;
  if (!found) {
    controls(choose, note("Predictions come after two labels of each of two classes."));
    return show({ photos: [] });
  }
  if (!found.class_ids.includes(predictedClass)) predictedClass = found.class_ids[0];
  const list = element("select", { "aria-label": "Class", onchange: (event) => {
    predictedClass = Number(event.target.value);
    suggest();
  } }, ...found.class_ids.map((id) => element("option", { value: id, selected: id === predictedClass }, className(id))));
  const place = found.class_ids.indexOf(predictedClass), photos = [];
  for (let photo = 0; photo < model.count; photo++) if (found.classes[photo] === place && model.labels[photo] == null) photos.push(photo);
  photos.sort((a, b) => found.confidence[a] - found.confidence[b]);
  controls(choose, element("div", { class: "row" }, list, note(`${plural(photos.length, "photo")} without a label, the least sure first`)));
  show({ photos, source: "predicted" });
}

export async function clean() {
  const kinds = [["duplicates", "Near-duplicates"], ["outliers", "Outliers"], ["skipped", `Skipped (${model.skipped})`]];
  const choose = segments("List", kinds, cleaning, (value) => {
    cleaning = value;
    clean();
  });
  const texts = {
    duplicates: "Pairs, side by side, that look most alike; files with the same bytes first.",
    outliers: "The photos least like any other, by the mean cosine to their ten nearest.",
    skipped: "Files that cannot be read as photos, with reasons.",
  };
  controls(choose, note(texts[cleaning]));
  byId("page").replaceChildren();
  if (cleaning === "skipped") {
    show({ photos: [] });
    const files = await latest(() => attempt(() => get("skipped")));
    if (!files) return;
    const rows = files.map(([name, reason]) => element("li", {}, element("strong", {}, name), element("br"), element("span", { class: "quiet" }, reason)));
    byId("page").replaceChildren(rows.length ? element("ul", { class: "files" }, ...rows) : element("p", { class: "empty" }, "Every file in the folder is a photo that can be read."));
    return;
  }
  const answer = await latest(() => attempt(() => get(cleaning === "outliers" ? "outliers" : "near_duplicates")));
  if (!answer) return;
  if (cleaning === "outliers") {
    return show({ photos: answer.map(([photo]) => photo), notes: new Map(answer.map(([photo, score]) => [photo, score.toFixed(3)])) });
  }
  const photos = answer.flatMap(([first, second]) => [first, second]), notes = new Map();
  for (const [first, second, cosine, identical] of answer) {
    for (const photo of [first, second]) if (!notes.has(photo)) notes.set(photo, identical ? "same file" : cosine.toFixed(4));
  }
  show({ photos, notes, pairs: true });
}

export function setColours(value) {
  model.colours = value;
  for (const each of byId("colours").children) each.setAttribute("aria-checked", String(each.dataset.value === value));
  emit("colours");
}
