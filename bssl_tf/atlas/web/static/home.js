// The tab Take home: labels and classifiers as files.

import { get, post } from "./api.js";
import { button, byId, controls, element, plural } from "./elements.js";
import { attempt, model, show } from "./model.js";

const said = new Map();
let busy = null;

const command = (text) => element("code", { class: "block" }, text);

function step(name, title, text, ...actions) {
  const result = element("div", { class: "result", role: "status" });
  result.append(...(said.get(name) ?? []));
  return element("div", { class: "step" }, element("h2", {}, title), element("p", {}, text), element("div", { class: "row" }, ...actions), result);
}

const download = (name) => element("a", { href: `download/${name}`, download: name }, `Download ${name}`);
const line = (...children) => element("div", {}, ...children);

async function run(name, path, values, describe) {
  busy = name;
  said.set(name, [line("Working …")]);
  home();
  const done = await attempt(() => post(path, values));
  busy = null;
  said.set(name, done ? describe(done) : [line(element("span", { class: "bad" }, "Not written."))]);
  home();
}

const tree = (form) => run("labels", "export/tree", { form }, (done) => [
  line(`${plural(done.photos, "photo")} in a folder of classes. Train or evaluate on it with`),
  command(`--dataset=folder:${done.folder}`),
]);

function fineTuning(ready) {
  const job = model.state?.job ?? { phase: "none" }, isRunning = job.phase === "running";
  const start = button("Fine-tune", async () => {
    await attempt(() => post("finetune", { steps: Number(byId("steps").value), layers: byId("layers").value }));
    await watchJob();
  }, { disabled: isRunning || !ready });
  const stop = button("Cancel", async () => {
    await attempt(() => post("finetune/cancel"));
    await watchJob();
  }, { disabled: !isRunning });
  const choices = [["whole", "all layers"], ["layerwise", "all, slower near the input"], ["head", "classifier only"]];
  const made = step("finetune", "Fine-tuned classifier", "Trains the binary network itself on your labels, in the background. Worth it from some hundred labels on.",
    element("select", { id: "layers", "aria-label": "What is trained" }, ...choices.map(([value, text]) => element("option", { value }, text))),
    element("input", { id: "steps", type: "number", min: 1, max: 100000, value: 300, "aria-label": "Steps", style: { width: "84px" } }),
    element("span", { class: "quiet" }, "steps"), start, stop);
  const result = made.querySelector(".result");
  if (isRunning) result.append(line(job.message), element("progress", { max: 1, value: job.share, "aria-label": "Fine-tuning" }));
  if (job.phase === "failed") result.append(line(element("span", { class: "bad" }, job.message)));
  if (job.phase === "cancelled") result.append(line("Cancelled."));
  if (job.phase === "done") {
    result.append(line(`${job.result.right} of ${job.result.count} held-out photos right.`), line(download("finetuned.tflite")), element("details", {}, element("summary", {}, "Parity"), job.result.parity));
  }
  return made;
}

export function home() {
  if (document.querySelector("#tab-home").getAttribute("aria-selected") !== "true") return;
  const kept = { steps: byId("steps")?.value, layers: byId("layers")?.value };
  const labels = model.labels.filter((label) => label != null).length, ready = model.predictions !== null;
  const canExport = model.state?.can_export === true;
  const missing = canExport ? "" : " Needs the run that the model came from: start bssl-atlas with --workdir=RUN.";
  controls(
    step("labels", "Labels", `${plural(labels, "label")}, as a table or as a folder of classes for train.py and evaluate.py.`,
      button("CSV", () => run("labels", "export/csv", {}, (done) => [line(`${plural(done.photos, "label")} in`), command(done.file), line(download("labels.csv"))]), { disabled: !labels || busy !== null }),
      button("Folder of links", () => tree("symlinks"), { disabled: !ready || busy !== null }),
      button("Folder of copies", () => tree("copies"), { disabled: !ready || busy !== null })),
    step("classifier", "Linear classifier", `The network as it is, with a linear layer that your labels made: a .tflite file, with names of classes, parity check and report.${missing}`,
      button("Make classifier.tflite", () => run("classifier", "export/classifier", {}, (done) => [
        line(`${Math.round(done.bytes / 1024)} KiB; the file computes what the network computes.`), command(done.file),
        line(download("classifier.tflite")), line(download("classifier.md")),
        element("details", {}, element("summary", {}, "Parity"), done.parity),
      ]), { class: "primary", disabled: !ready || !canExport || busy !== null })),
    fineTuning(ready && canExport));
  for (const [name, value] of Object.entries(kept)) if (value) byId(name).value = value;
}

export function openHome() {
  byId("page").replaceChildren();
  show({ photos: [] });
  home();
}

let watching = false;
export async function watchJob() {
  if (watching) return;
  watching = true;
  do {
    model.state = await get("state").catch(() => model.state);
    home();
    await new Promise((resolve) => setTimeout(resolve, 700));
  } while (model.state?.job.phase === "running");
  watching = false;
}
