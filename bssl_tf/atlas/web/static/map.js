// The map: points at any zoom, thumbnails where there is room, lasso, keyboard, mouse and touch.

import { thumbnail } from "./api.js";
import { colourOf, ramp, rgb, UNKNOWN } from "./colours.js";
import { classPlace, emit, model, on, select } from "./model.js";
import { Points } from "./points.js";

const THUMBNAILS_FROM = 3, MOST_THUMBNAILS = 160, MOST_IN_MEMORY = 800, LARGEST_ZOOM = 200;
const MOST_RINGED = 24;
const MARGIN = 24, LEGEND = 34, CLICK_DISTANCE = 14, RATIO = Math.min(2, window.devicePixelRatio || 1);

export class PhotoMap {
  constructor(canvas, { pick, hover }) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.points = new Points(this.context);
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.images = new Map();
    this.pointers = new Map();
    this.isLasso = false;
    this.path = null;
    this.pick = pick;
    this.hover = hover;
    this.drawTimes = [];
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.listen();
    for (const name of ["map", "labels", "predictions", "selection", "list", "focus", "colours", "theme"]) on(name, () => this.redraw());
    on("map", () => this.fit());
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.round(clientWidth * RATIO);
    this.canvas.height = Math.round(clientHeight * RATIO);
    this.points.resize(this.canvas.width, this.canvas.height);
    this.draw();
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  get scale() {
    return (Math.min(this.canvas.width, this.canvas.height - LEGEND * RATIO) - 2 * MARGIN * RATIO) * this.view.zoom;
  }
  toScreen(photo) {
    return [
      (model.x[photo] / 65535 - this.view.x) * this.scale + this.canvas.width / 2,
      (model.y[photo] / 65535 - this.view.y) * this.scale + (this.canvas.height - LEGEND * RATIO) / 2,
    ];
  }

  colourer() {
    const { colours, predictions } = model;
    const palette = Array.from({ length: 16 }, (_, place) => rgb(colourOf(place))), unknown = rgb(UNKNOWN);
    if (colours === "clusters") return (photo) => palette[model.clusters[photo] % 16];
    const places = new Map(model.classes.map((each, place) => [each.id, palette[place % 16]]));
    if (colours === "classes" || !predictions) {
      return (photo) => places.get(model.labels[photo] ?? predictions?.class_ids[predictions.classes[photo]]) ?? unknown;
    }
    const lowest = 1 / predictions.class_ids.length;
    const steps = Array.from({ length: 101 }, (_, percent) => ramp(Math.max(0, (percent / 100 - lowest) / (1 - lowest))));
    return (photo) => (model.labels[photo] != null ? steps[100] : steps[predictions.confidence[photo]]);
  }

  draw() {
    if (!this.points.image) return;
    const started = performance.now(), { context, canvas, points } = this, { width, height } = canvas;
    points.clear();
    const colour = this.colourer(), seen = [], few = model.count < 3000 ? 1.3 : 1;
    const radius = Math.min(7, (1.7 + Math.log2(this.view.zoom + 1) * 0.9) * few) * RATIO;
    for (let photo = 0; photo < model.count; photo++) {
      const [x, y] = this.toScreen(photo);
      if (x < -40 || y < -40 || x > width + 40 || y > height + 40) continue;
      points.add(x, y, radius, colour(photo));
      seen.push(photo);
    }
    points.draw();
    this.drawThumbnails(seen, colour);
    this.drawMarks(seen, radius);
    this.drawPath();
    this.drawTimes.push(performance.now() - started);
    if (this.drawTimes.length > 120) this.drawTimes.shift();
  }

  drawThumbnails(seen, colour) {
    if (this.view.zoom < THUMBNAILS_FROM || !seen.length) return;
    const size = Math.round(Math.min(56, 22 + 6 * Math.log2(this.view.zoom)) * RATIO), taken = new Set();
    let drawn = 0;
    for (const photo of seen) {
      const [x, y] = this.toScreen(photo), column = Math.round(x / size), row = Math.round(y / size);
      const cell = `${column} ${row}`;
      if (taken.has(cell)) continue;
      taken.add(cell);
      if (++drawn > MOST_THUMBNAILS) break;
      const image = this.image(photo), gap = 3 * RATIO, left = column * size - size / 2, top = row * size - size / 2;
      if (!image) continue;
      this.context.fillStyle = `rgb(${colour(photo)})`;
      this.context.fillRect(left + gap - 2 * RATIO, top + gap - 2 * RATIO, size - 2 * gap + 4 * RATIO, size - 2 * gap + 4 * RATIO);
      this.context.drawImage(image, left + gap, top + gap, size - 2 * gap, size - 2 * gap);
    }
  }

  // A thumbnail that has been loaded; others are on their way.
  image(photo) {
    let image = this.images.get(photo);
    if (image) {
      this.images.delete(photo);
    } else {
      image = new Image();
      image.onload = () => this.redraw();
      image.src = thumbnail(photo);
      if (this.images.size >= MOST_IN_MEMORY) this.images.delete(this.images.keys().next().value);
    }
    this.images.set(photo, image);
    return image.complete && image.naturalWidth ? image : null;
  }

  drawMarks(seen, radius) {
    const { context } = this, style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink"), accent = style.getPropertyValue("--accent");
    const ring = (photo, extra, width, colour) => {
      const [x, y] = this.toScreen(photo);
      context.beginPath();
      context.arc(x, y, radius + extra * RATIO, 0, 7);
      context.lineWidth = width * RATIO;
      context.strokeStyle = colour;
      context.stroke();
    };
    for (const photo of seen) {
      if (model.labels[photo] != null) {
        const [x, y] = this.toScreen(photo);
        context.beginPath();
        context.arc(x, y, radius + 1.5 * RATIO, 0, 7);
        context.fillStyle = colourOf(classPlace(model.labels[photo]));
        context.fill();
        ring(photo, 1.5, 1.5, ink);
      }
      if (model.selection.has(photo)) ring(photo, 3, 2.5, accent);
    }
    if (model.list.photos.length <= MOST_RINGED) {
      for (const photo of model.list.photos) if (!model.selection.has(photo)) ring(photo, 3, 1.25, ink);
    }
    if (model.focus !== null) {
      ring(model.focus, 6, 2, ink);
      ring(model.focus, 8.5, 2, accent);
    }
  }

  drawPath() {
    if (!this.path) return;
    const { context } = this, accent = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    context.beginPath();
    for (const [x, y] of this.path) context.lineTo(x * RATIO, y * RATIO);
    context.closePath();
    context.globalAlpha = 0.14;
    context.fillStyle = accent;
    context.fill();
    context.globalAlpha = 1;
    context.lineWidth = 2 * RATIO;
    context.strokeStyle = accent;
    context.stroke();
  }

  // What lies inside of the drawn path, by the even-odd rule.
  inside(path) {
    const outline = path.map(([x, y]) => [x * RATIO, y * RATIO]), found = [];
    for (let photo = 0; photo < model.count; photo++) {
      const [x, y] = this.toScreen(photo);
      let isInside = false;
      for (let here = 0, last = outline.length - 1; here < outline.length; last = here++) {
        const [ax, ay] = outline[here], [bx, by] = outline[last];
        if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) isInside = !isInside;
      }
      if (isInside) found.push(photo);
    }
    return found;
  }

  nearest(x, y, within = CLICK_DISTANCE) {
    let best = null, least = (within * RATIO) ** 2;
    for (let photo = 0; photo < model.count; photo++) {
      const [px, py] = this.toScreen(photo), distance = (px - x * RATIO) ** 2 + (py - y * RATIO) ** 2;
      if (distance < least) [best, least] = [photo, distance];
    }
    return best;
  }

  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.min(LARGEST_ZOOM, Math.max(0.7, this.view.zoom * factor)), before = this.scale;
    const offset = [x * RATIO - this.canvas.width / 2, y * RATIO - (this.canvas.height - LEGEND * RATIO) / 2];
    this.view.zoom = zoom;
    this.view.x += offset[0] / before - offset[0] / this.scale;
    this.view.y += offset[1] / before - offset[1] / this.scale;
    this.redraw();
  }
  moveBy(x, y) {
    this.view.x -= (x * RATIO) / this.scale;
    this.view.y -= (y * RATIO) / this.scale;
    this.redraw();
  }
  fit() {
    this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.redraw();
  }
  goTo(photo) {
    const [x, y] = this.toScreen(photo), { width, height } = this.canvas;
    if (x > 0 && y > 0 && x < width && y < height) return;
    [this.view.x, this.view.y] = [model.x[photo] / 65535, model.y[photo] / 65535];
    this.redraw();
  }
  setLasso(on) {
    this.isLasso = on;
    this.canvas.classList.toggle("lasso", on);
    emit("lasso");
  }

  listen() {
    const { canvas, pointers } = this, at = (event) => [event.offsetX, event.offsetY];
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) * 0.0022), ...at(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, at(event));
      this.travelled = 0;
      this.path = pointers.size === 1 && (this.isLasso || event.shiftKey) ? [at(event)] : null;
    });
    canvas.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId), now = at(event);
      if (!last) return event.pointerType === "mouse" && this.hover(this.nearest(...now));
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, now);
      this.travelled += Math.hypot(now[0] - last[0], now[1] - last[1]);
      if (this.path) {
        this.path.push(now);
        this.redraw();
      } else if (other) {
        const distance = (point) => Math.max(10, Math.hypot(point[0] - other[0], point[1] - other[1]));
        this.zoomBy(distance(now) / distance(last), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else {
        this.moveBy(now[0] - last[0], now[1] - last[1]);
      }
    });
    const end = (event) => {
      if (!pointers.delete(event.pointerId)) return;
      const path = this.path;
      this.path = null;
      if (event.type === "pointercancel") return this.redraw();
      if (path && this.travelled > 8) {
        this.setLasso(false);
        this.region(this.inside(path));
      } else if (this.travelled < 5) {
        const photo = this.nearest(...at(event));
        if (photo !== null) this.pick(photo, event.ctrlKey || event.metaKey || event.shiftKey);
      }
      this.redraw();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => this.hover(null));
    canvas.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
      if (moves[event.key]) this.moveBy(...moves[event.key]);
      else if (event.key === "Enter") this.pickMiddle();
      else return;
      event.preventDefault();
    });
  }
  pickMiddle() {
    const photo = this.nearest(this.canvas.clientWidth / 2, this.canvas.clientHeight / 2, Infinity);
    if (photo !== null) this.pick(photo, false);
  }
  region(photos) {
    select(photos);
    this.onRegion(photos);
  }
}
