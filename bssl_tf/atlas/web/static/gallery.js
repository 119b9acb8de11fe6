// The list of photos in the panel: one tab stop, arrow keys, as many at a time as one can look at.

import { get, picture, thumbnail } from "./api.js";
import { button, byId, element, plural } from "./elements.js";
import { colourOf } from "./colours.js";
import { className, classPlace, emit, model, on, predictionOf, select, toggle } from "./model.js";

const AT_ONCE = 120;
const names = new Map();
let shown = AT_ONCE;

export async function namesOf(photos) {
  const missing = photos.filter((photo) => !names.has(photo)).slice(0, 500);
  if (missing.length) (await get(`names?photos=${missing.join(",")}`)).forEach((name, place) => names.set(missing[place], name));
  return photos.map((photo) => names.get(photo) ?? "");
}

function noteOf(photo) {
  const given = model.list.notes?.get(photo);
  if (given != null) return given;
  if (model.labels[photo] != null) return className(model.labels[photo]);
  const found = predictionOf(photo);
  return found ? `${className(found.id)}? ${found.confidence} %` : "";
}

function tile(photo) {
  const made = element("div", { class: "photo", role: "option", "data-photo": photo, tabindex: -1 },
    element("span", { class: "tile" },
      element("img", { src: thumbnail(photo), width: 96, height: 96, alt: "", loading: "lazy", draggable: "false" }),
      element("span", { class: "mark" }), element("span", { class: "tick", "aria-hidden": "true" }, "✓")),
    element("span", { class: "note", style: { display: "block" } }));
  dress(made);
  return made;
}

function dress(made) {
  const photo = Number(made.dataset.photo), label = model.labels[photo], note = noteOf(photo);
  made.setAttribute("aria-selected", String(model.selection.has(photo)));
  made.querySelector(".mark").hidden = label == null;
  made.querySelector(".mark").style.background = colourOf(classPlace(label));
  made.querySelector(".note").textContent = note;
  const name = names.get(photo) ?? `photo ${photo + 1}`;
  made.title = name;
  made.setAttribute("aria-label", [name, label == null ? "" : `labelled ${className(label)}`, note].filter(Boolean).join(", "));
}

function draw() {
  shown = AT_ONCE;
  fill();
}

function fill() {
  const gallery = byId("gallery"), photos = model.list.photos.slice(0, shown);
  gallery.classList.toggle("pairs", model.list.pairs === true);
  gallery.replaceChildren(...photos.map(tile));
  if (gallery.firstChild) gallery.firstChild.tabIndex = 0;
  byId("more")?.remove();
  if (model.list.photos.length > shown) {
    gallery.after(button(`Show more of ${plural(model.list.photos.length, "photo")}`, () => {
      shown += AT_ONCE;
      fill();
    }, { id: "more", style: { marginTop: "12px" } }));
  }
  namesOf(photos).then(redress, () => null);
}

function redress() {
  for (const made of byId("gallery").children) dress(made);
  const count = model.selection.size;
  byId("selected").textContent = count ? `${plural(count, "photo")} selected` : "Nothing selected";
  byId("unlabel").disabled = !count && model.focus === null;
  byId("clear").disabled = !count;
}

function columns() {
  return getComputedStyle(byId("gallery")).gridTemplateColumns.split(" ").length;
}

function focusTile(made) {
  for (const each of byId("gallery").querySelectorAll("[tabindex='0']")) each.tabIndex = -1;
  made.tabIndex = 0;
  made.focus();
  made.scrollIntoView({ block: "nearest" });
}

export function focusFirst() {
  const first = byId("gallery").querySelector("[tabindex='0']");
  if (first) focusTile(first);
}

export function startGallery({ look }) {
  const gallery = byId("gallery");
  let anchor = null;
  gallery.addEventListener("click", (event) => {
    const made = event.target.closest(".photo");
    if (!made) return;
    const photo = Number(made.dataset.photo), photos = model.list.photos;
    focusTile(made);
    if (event.shiftKey && anchor !== null && photos.includes(anchor)) {
      const ends = [photos.indexOf(anchor), photos.indexOf(photo)].sort((a, b) => a - b);
      select(photos.slice(ends[0], ends[1] + 1), { add: true });
    } else {
      toggle(photo);
      anchor = photo;
    }
    setFocus(photo);
  });
  gallery.addEventListener("dblclick", (event) => {
    const made = event.target.closest(".photo");
    if (made) look(Number(made.dataset.photo));
  });
  gallery.addEventListener("keydown", (event) => {
    const made = document.activeElement.closest?.(".photo");
    if (!made || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...gallery.children], place = all.indexOf(made), photo = Number(made.dataset.photo);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -place, End: all.length - 1 - place };
    if (event.key in steps) {
      const next = all[Math.min(all.length - 1, Math.max(0, place + steps[event.key]))];
      focusTile(next);
      setFocus(Number(next.dataset.photo));
    } else if (event.key === " ") toggle(photo);
    else if (event.key === "Enter") look(photo);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  on("list", draw);
  for (const name of ["labels", "predictions", "selection", "focus"]) on(name, redress);
  byId("clear").addEventListener("click", () => select([]));
  byId("select-all").addEventListener("click", () => select(model.list.photos));
  redress();
}

export function setFocus(photo) {
  model.focus = photo;
  emit("focus");
}

// Few pixels are shown as squares, as they are.
const coarse = (event) => event.target.classList.toggle("coarse", event.target.naturalWidth < 64);

// The photo in focus, large, with what there is to say of it.
export function focusCard(photo) {
  const name = element("strong", {}, names.get(photo) ?? "…"), label = model.labels[photo], found = predictionOf(photo);
  namesOf([photo]).then(([text]) => (name.textContent = text), () => null);
  return element("div", { class: "focus" },
    element("span", { class: "frame" }, element("img", { src: picture(photo), alt: "The photo in focus", width: 136, height: 136, onload: coarse })),
    element("div", { class: "facts" }, name,
      element("span", {}, label == null ? "no label" : `label: ${className(label)}`),
      element("span", { class: "quiet" }, found ? `predicted: ${className(found.id)}, ${found.confidence} %` : "no prediction yet")));
}
