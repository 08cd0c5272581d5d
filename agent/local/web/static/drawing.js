// Draws a zone or a line on the live picture: tap for a corner, drag one to move it, undo step by step.
// Points are fractions of the picture, as the settings have them.

import { draw, make, place } from "./element.js";
import { say } from "./words.js";

const LOUPE_PX = 120;
const LOUPE_TIMES = 3;
const KEY_STEP = 0.01;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Drawing {
  /** Over `figure`, a live picture. `changed(points, canUndo)` is told of every change. */
  constructor(figure, changed) {
    Object.assign(this, { figure, changed, points: [], before: [], most: 0 });
    this.shape = draw("svg", { class: "drawing", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.loupe = make("canvas", { class: "loupe", width: LOUPE_PX, height: LOUPE_PX, hidden: true });
    this.corners = [];
    figure.addEventListener("pointerup", (event) => this.tapped(event));
  }

  /** Begin with `points`; a line has two, a zone up to `most`. */
  begin(points, isLine, most) {
    Object.assign(this, { points, before: [], isLine, most });
    this.figure.classList.add("drawing-on");
    this.figure.append(this.shape, this.loupe);
    this.show();
  }

  end() {
    this.most = 0;
    this.figure.classList.remove("drawing-on");
    for (const part of [this.shape, this.loupe, ...this.corners]) part.remove();
    this.corners = [];
  }

  undo() {
    if (this.before.length) this.points = this.before.pop();
    this.show();
  }

  tapped(event) {
    if (this.points.length >= this.most || event.target.classList.contains("corner")) return;
    this.keep();
    this.points = [...this.points, this.at(event)];
    this.show();
  }

  keep() { this.before.push(this.points); }

  at({ clientX, clientY }) {
    const box = this.figure.getBoundingClientRect();
    return [within((clientX - box.left) / box.width), within((clientY - box.top) / box.height)];
  }

  show() {
    while (this.corners.length > this.points.length) this.corners.pop().remove();
    while (this.corners.length < this.points.length) this.addCorner(this.corners.length);
    this.outline();
  }

  outline() {
    const points = this.points.map((point) => point.join(",")).join(" ");
    this.shape.replaceChildren(draw(this.isLine ? "polyline" : "polygon", { points }));
    this.corners.forEach((corner, n) => place(corner, { left: this.points[n][0], top: this.points[n][1] }));
    this.changed(this.points, this.before.length > 0);
  }

  addCorner(n) {
    const corner = make("button", { class: "corner", type: "button", "aria-label": say("draw-corner", { n: n + 1 }) });
    corner.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      corner.setPointerCapture(event.pointerId);
      this.keep();
    });
    corner.addEventListener("pointermove", (event) => {
      if (!corner.hasPointerCapture(event.pointerId)) return;
      this.move(n, this.at(event));
      this.magnify(n);
    });
    for (const over of ["pointerup", "pointercancel"]) corner.addEventListener(over, () => this.letGo());
    corner.addEventListener("keydown", (event) => {
      const way = KEYS[event.key];
      if (!way) return;
      event.preventDefault();
      this.keep();
      this.move(n, this.points[n].map((value, axis) => within(value + way[axis] * KEY_STEP)));
    });
    this.corners.push(corner);
    this.figure.append(corner);
  }

  move(n, point) {
    this.points = this.points.map((each, index) => (index === n ? point : each));
    this.outline();
  }

  letGo() {
    this.loupe.hidden = true;
    if (this.before.at(-1) === this.points) this.before.pop(); // held, not moved
    this.outline();
  }

  /** Show what the finger hides, on the side where it is not. */
  magnify(n) {
    const image = this.figure.querySelector("img");
    if (!image?.naturalWidth) return;
    const [x, y] = this.points[n];
    const side = (image.naturalWidth * LOUPE_PX) / this.figure.clientWidth / LOUPE_TIMES;
    const pen = this.loupe.getContext("2d");
    pen.fillRect(0, 0, LOUPE_PX, LOUPE_PX);
    pen.drawImage(image, x * image.naturalWidth - side / 2, y * image.naturalHeight - side / 2, side, side,
      0, 0, LOUPE_PX, LOUPE_PX);
    pen.strokeStyle = "#4cc2ff";
    pen.beginPath();
    for (const [from, to] of [[[0.5, 0.3], [0.5, 0.7]], [[0.3, 0.5], [0.7, 0.5]]]) {
      pen.moveTo(from[0] * LOUPE_PX, from[1] * LOUPE_PX);
      pen.lineTo(to[0] * LOUPE_PX, to[1] * LOUPE_PX);
    }
    pen.stroke();
    this.loupe.className = `loupe ${x < 0.5 ? "right" : "left"}`;
    this.loupe.hidden = false;
  }
}

function within(value) {
  return Math.round(Math.min(1, Math.max(0, value)) * 1e4) / 1e4;
}
