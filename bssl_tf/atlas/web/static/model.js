// What this window knows, and who is to be notified when it changes.

import { get, post, postFile, RequestError } from "./api.js";
import { message, plural } from "./elements.js";

export const model = {
  map: "", count: 0, x: [], y: [], clusters: [], skipped: 0,
  revision: 0, classes: [], labels: [], predictions: null, accuracy: null,
  colours: "clusters", selection: new Set(), focus: null, list: { title: "", photos: [], notes: new Map() },
  state: null,
};

const listeners = new Map();
export const on = (name, run) => listeners.set(name, [...(listeners.get(name) ?? []), run]);
export const emit = (name) => (listeners.get(name) ?? []).forEach((run) => run());

// Errors end here, as a sentence; the value is null then.
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    message(error.message, true);
    if (error.conflict) await refresh();
    return null;
  }
}

export async function loadMap() {
  const map = await get("map");
  Object.assign(model, { map: map.map, x: map.x, y: map.y, clusters: map.clusters, skipped: map.skipped, count: map.x.length });
  model.labels = new Array(model.count).fill(null);
  model.revision = 0;
  emit("map");
  await refresh();
}

let refreshing = Promise.resolve();
export function refresh() {
  refreshing = refreshing.catch(() => null).then(fetchLabels);
  return refreshing;
}

async function fetchLabels() {
  const answer = await get(`labels?since=${model.revision}`);
  for (const [photo, label] of answer.labels) model.labels[photo] = label;
  model.revision = answer.revision;
  model.classes = answer.classes;
  emit("labels");
  const predictions = await get("predictions");
  model.predictions = predictions.class_ids.length ? predictions : null;
  emit("predictions");
  model.accuracy = model.predictions && (await get("accuracy"));
  emit("accuracy");
}

export const classPlace = (classId) => model.classes.findIndex((each) => each.id === classId);
export const className = (classId) => model.classes.find((each) => each.id === classId)?.name ?? "";
export function predictionOf(photo) {
  const found = model.predictions;
  return found && { id: found.class_ids[found.classes[photo]], confidence: found.confidence[photo] };
}

export function select(photos, { add = false } = {}) {
  if (!add) model.selection.clear();
  photos.forEach((photo) => model.selection.add(photo));
  emit("selection");
}
export function toggle(photo) {
  if (!model.selection.delete(photo)) model.selection.add(photo);
  emit("selection");
}
export function show(list) {
  model.list = { source: "picked", ...list };
  emit("list");
}

// What an action is about: the selection, or else the photo in focus.
const chosen = () => (model.selection.size ? [...model.selection] : model.focus === null ? [] : [model.focus]);

// Photos get a class; null takes labels away.
export async function assign(classId, photos = chosen()) {
  if (!photos.length) return message("Select photos first: click them, or draw a lasso.");
  const listed = new Set(model.list.photos);
  const source = photos.every((photo) => listed.has(photo)) ? model.list.source : "picked";
  const values = { photos, class: classId, source, seen: model.revision, map: model.map };
  const done = await attempt(() => post("label", values));
  if (!done) return;
  const name = classId === null ? "no label" : className(classId);
  message(`${plural(photos.length, "photo")}: ${name}`);
  photos.forEach((photo) => model.selection.delete(photo));
  emit("selection");
  await attempt(refresh);
  emit("assigned");
}

export async function undo(path) {
  const done = await attempt(() => post(path));
  if (!done) return;
  message(`${path === "undo" ? "Undone" : "Done again"}: ${done.action}`);
  await attempt(refresh);
}

export async function similarTo(photo, measure) {
  return attempt(() => get(`similar/${photo}?by=${measure}`));
}
export async function similarToFile(file, measure) {
  return attempt(() => postFile(`search?by=${measure}`, file));
}
