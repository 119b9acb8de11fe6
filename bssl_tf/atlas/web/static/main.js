// Puts the page together: waits for the map, keeps up with other windows, keys, tabs, classes.

import { get, post, thumbnail } from "./api.js";
import { colourOf, rampStyle, UNKNOWN } from "./colours.js";
import { arrowKeys, ask, byId, controls, element, message, plural } from "./elements.js";
import { focusFirst, namesOf, setFocus, startGallery } from "./gallery.js";
import { home, openHome, watchJob } from "./home.js";
import { PhotoMap } from "./map.js";
import { assign, attempt, classPlace, emit, loadMap, model, on, refresh, select, show, toggle, undo } from "./model.js";
import { results } from "./results.js";
import { clean, leave, look, refreshFocus, setColours, showFile, showRegion, showSimilar, suggest } from "./views.js";

const TABS = { look, label: suggest, clean, results, home: openHome };
const KEYS = [
  ["1 … 9", "label the selection with that class"], ["0", "take its labels away"], ["C", "name a new class"], ["N", "what to label next"],
  ["F", "find the like of the photo in focus"], ["A", "select all of the list"], ["Esc", "clear the selection"], ["L", "lasso; or Shift and drag"],
  ["U, Shift+U", "undo, redo"], ["M, G", "go to the map, to the photos"], ["Arrows", "move on the map or in the list"], ["Space", "select the photo in focus"],
  ["+ − 0 (on the map)", "closer, farther, all"],
];
let tab = "look";

const map = new PhotoMap(byId("canvas"), { pick, hover });
let isHeld = false;
window.atlas = { map, model, hold: (held) => (isHeld = held) }; // for whoever is curious, and for tests
map.onRegion = (photos) => {
  if (!photos.length) return message("No photo lies in there.");
  openTab("look", () => showRegion(photos));
};

function pick(photo, add) {
  if (add) {
    toggle(photo);
    return setFocus(photo);
  }
  setFocus(photo);
  select([photo]);
  openTab("look", () => showSimilar(photo));
}

let hovered = null;
function hover(photo) {
  if (photo === hovered) return;
  hovered = photo;
  const card = byId("hover");
  card.hidden = photo === null;
  if (photo === null) return;
  const name = element("span", {}, "");
  card.replaceChildren(element("img", { src: thumbnail(photo), alt: "", width: 72, height: 72 }), name);
  namesOf([photo]).then(([text]) => (name.textContent = text), () => null);
}

function openTab(name, run = TABS[name]) {
  leave();
  tab = name;
  for (const each of byId("tabs").children) each.setAttribute("aria-selected", String(each.dataset.tab === name));
  byId("view").setAttribute("aria-labelledby", `tab-${name}`);
  byId("view").scrollTop = 0;
  byId("page").replaceChildren();
  controls();
  byId("gallery").replaceChildren();
  run();
}

function drawClasses() {
  const counts = new Map();
  for (const label of model.labels) if (label != null) counts.set(label, (counts.get(label) ?? 0) + 1);
  byId("class-list").replaceChildren(...model.classes.map(({ id, name }, place) => {
    const dot = element("span", { class: "dot", style: { background: colourOf(place) } });
    const label = element("button", { type: "button", "data-class": id, title: `Label the selection as ${name}`, onclick: () => assign(id) },
      place < 9 && element("kbd", {}, String(place + 1)), dot, element("span", { class: "name" }, name), element("span", { class: "count" }, String(counts.get(id) ?? 0)));
    const edit = element("button", { type: "button", "aria-label": `Change the class ${name}`, title: "Rename or remove", onclick: () => editClass(id, name, counts.get(id) ?? 0) }, "⋯");
    return element("li", { class: "class" }, label, edit);
  }));
}

async function editClass(id, name, count) {
  const next = await ask(`Class “${name}”`, "A new name. An empty one removes the class.", name, "Save");
  if (next === null || next === name) return;
  if (next.trim()) {
    await attempt(() => post("classes/rename", { class: id, name: next }));
  } else if (await ask(`Remove “${name}”?`, `${plural(count, "label")} go with it. Undo brings them back.`, null, "Remove")) {
    await attempt(() => post("classes/remove", { class: id }));
  }
  await attempt(refresh);
}

byId("new-class").addEventListener("submit", async (event) => {
  event.preventDefault();
  const input = byId("class-name");
  if (!input.value.trim()) return input.focus();
  const photos = [...model.selection]; // as it is now: clicks that follow are not about this class
  const made = await attempt(() => post("classes/add", { name: input.value }));
  if (!made) return;
  input.value = "";
  await attempt(refresh);
  if (photos.length) await assign(made.id, photos);
  else message(`Key ${classPlace(made.id) + 1} labels the selection with it.`);
});

function drawLegend() {
  const item = (colour, text) => element("li", {}, element("span", { class: "dot", style: { background: colour } }), text);
  const items = [];
  if (model.colours === "clusters" && model.count) {
    const clusters = Math.max(...model.clusters) + 1;
    for (let cluster = 0; cluster < clusters; cluster++) items.push(item(colourOf(cluster), ""));
    items.push(element("li", {}, `${plural(clusters, "cluster")}, found without labels`));
  } else if (model.colours === "classes") {
    model.classes.forEach(({ name }, place) => items.push(item(colourOf(place), name)));
    items.push(item(UNKNOWN, "unknown"));
  } else if (model.count) {
    items.push(element("li", {}, "unsure", element("span", { class: "ramp", style: { background: rampStyle } }), "sure"));
  }
  byId("legend").replaceChildren(...items);
}

// Keys that work anywhere but in text fields and dialogs.
document.addEventListener("keydown", (event) => {
  const field = event.target.closest("input, select, dialog");
  if (field || event.ctrlKey || event.metaKey || event.altKey || !model.count) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const onMap = document.activeElement === byId("canvas");
  const actions = {
    c: () => byId("class-name").focus(), n: () => openTab("label"), f: () => model.focus !== null && pick(model.focus, false),
    a: () => select(model.list.photos), Escape: () => (map.isLasso ? map.setLasso(false) : select([])), l: () => map.setLasso(!map.isLasso),
    u: () => undo(event.shiftKey ? "redo" : "undo"), m: () => byId("canvas").focus(), g: focusFirst, "?": () => byId("keys").showModal(),
    "+": () => map.zoomBy(1.4), "-": () => map.zoomBy(1 / 1.4),
  };
  if (/^[1-9]$/.test(key)) {
    const chosen = model.classes[Number(key) - 1];
    if (chosen) assign(chosen.id);
    else message(`There is no class ${key} yet: C names a new one.`);
  } else if (key === "0") {
    if (onMap) map.fit();
    else assign(null);
  } else if (actions[key]) actions[key]();
  else return;
  event.preventDefault();
});

// Buttons.
const click = (id, run) => byId(id).addEventListener("click", run);
click("undo", () => undo("undo"));
click("redo", () => undo("redo"));
click("help", () => byId("keys").showModal());
click("lasso", () => map.setLasso(!map.isLasso));
click("closer", () => map.zoomBy(1.4));
click("farther", () => map.zoomBy(1 / 1.4));
click("fit", () => map.fit());
click("unlabel", () => assign(null));
click("open", () => byId("file").click());
byId("file").addEventListener("change", () => {
  if (byId("file").files[0]) openTab("look", () => showFile(byId("file").files[0]));
});
for (const each of byId("tabs").children) each.addEventListener("click", () => openTab(each.dataset.tab));
for (const each of byId("colours").children) each.addEventListener("click", () => setColours(each.dataset.value));
arrowKeys(byId("tabs"), "tab");
arrowKeys(byId("colours"), "radio");
byId("key-list").append(...KEYS.flatMap(([key, text]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, text)]));

// Light or dark: as the system, until chosen here.
const system = matchMedia("(prefers-color-scheme: dark)");
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  emit("theme");
}
setTheme(localStorage.getItem("theme") ?? (system.matches ? "dark" : "light"));
system.addEventListener("change", () => localStorage.getItem("theme") ?? setTheme(system.matches ? "dark" : "light"));
click("theme", () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", next);
  setTheme(next);
});

// Photos from the desktop.
let depth = 0;
const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragenter", (event) => hasFile(event) && (byId("drop").hidden = ++depth === 0));
addEventListener("dragleave", (event) => hasFile(event) && (byId("drop").hidden = --depth <= 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  byId("drop").hidden = true;
  const file = event.dataTransfer?.files[0];
  if (file && model.count) openTab("look", () => showFile(file));
});

on("labels", drawClasses);
on("map", drawClasses);
for (const name of ["map", "labels", "colours"]) on(name, drawLegend);
on("predictions", () => {
  if (tab === "home") home();
  refreshFocus();
});
on("accuracy", () => tab === "results" && results());
on("assigned", () => tab === "label" && suggest());
on("lasso", () => byId("lasso").setAttribute("aria-pressed", String(map.isLasso)));
on("focus", () => model.focus !== null && map.goTo(model.focus));
startGallery({ look: (photo) => pick(photo, false) });

// The server: first until the map is there, then for what other windows do.
let answers = true;
async function follow() {
  try {
    const state = (model.state = await get("state"));
    if (!answers) message("The atlas answers again.");
    answers = true;
    byId("folder").textContent = model.count ? `${state.folder} · ${plural(model.count, "photo")}` : state.folder;
    if (state.ready && state.map !== model.map) {
      await loadMap();
      setColours(model.predictions ? "classes" : "clusters");
      byId("waiting").hidden = true;
      openTab(tab);
      if (state.job.phase === "running") watchJob();
      byId("folder").textContent = `${state.folder} · ${plural(model.count, "photo")}`;
    } else if (state.ready && state.revision !== model.revision && !isHeld) {
      await refresh();
    } else if (!state.ready) {
      waitFor(state);
    }
  } catch (error) {
    if (answers) message(error.message, true);
    answers = false;
  }
  setTimeout(follow, model.count ? 2000 : 400);
}

function waitFor(state) {
  const isFailed = state.phase === "failed";
  byId("phase").textContent = isFailed ? state.error : state.total ? `${state.phase}: ${state.done.toLocaleString("en")} of ${state.total.toLocaleString("en")}${state.total === 100 ? " %" : ""}` : state.phase;
  byId("phase").classList.toggle("bad", isFailed);
  byId("progress").hidden = isFailed;
  byId("wait-note").hidden = isFailed;
  byId("progress").value = state.total ? state.done / state.total : 0;
}

show({ photos: [] });
follow();
