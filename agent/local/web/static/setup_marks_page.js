// A PTZ camera's landmarks: bring a known place to the middle (tap it, or the arrows), say where it is.

import { draw, make, setText } from "./element.js";
import { livePicture } from "./live_picture.js";
import { ask } from "./poll.js";
import { order, pressable, refusedLines } from "./setup_order.js";
import { say } from "./words.js";

const TURNS = {
  left: { pan: -0.3 }, right: { pan: 0.3 }, up: { tilt: 0.3 }, down: { tilt: -0.3 },
  in: { zoom: 0.4 }, out: { zoom: -0.4 },
};
const part = (id) => document.getElementById(id);
const { camera: cameraId, name } = part("setup").dataset;
const base = `/setup/cameras/${encodeURIComponent(cameraId)}`;
const path = `${base}/landmarks`;
const markAnswer = part("mark-answer");
let isTurning = false;
let turned = 0;

const picture = livePicture("", { camera_id: cameraId, name });
picture.root.append(draw("svg", { class: "cross", viewBox: "0 0 2 2", "aria-hidden": "true" },
  draw("path", { d: "M1 .82V.97M1 1.03v.15M.82 1H.97M1.03 1h.15" })));
part("picture").append(picture.root);

async function turn(fields) {
  if (isTurning) return; // one movement at a time: what was tapped meanwhile has moved on
  isTurning = true;
  picture.root.classList.add("turning");
  try {
    const said = await order(`${base}/turn`, fields);
    markAnswer.replaceChildren(...(said.error ? refusedLines(said) : []));
  } catch {
    markAnswer.replaceChildren(make("p", { class: "sentence" }, say("setup-failed")));
  } finally {
    isTurning = false;
    turned += 1;
    picture.root.dataset.turned = turned;
    picture.root.classList.remove("turning");
  }
}

picture.root.addEventListener("pointerup", ({ clientX, clientY }) => {
  const { left, top, width, height } = picture.root.getBoundingClientRect();
  turn({ x: ((clientX - left) / width).toFixed(4), y: ((clientY - top) / height).toFixed(4) });
});
for (const button of document.querySelectorAll("[data-turn]")) {
  button.addEventListener("click", () => turn(TURNS[button.dataset.turn]));
}

function sends(form, address, answer, done) {
  form.addEventListener("submit", pressable(form.querySelector("button"), answer, async () => {
    const said = await order(address, Object.fromEntries(new FormData(form)));
    answer.replaceChildren(...(said.error ? refusedLines(said) : [make("p", { class: "pill good" }, say(done))]));
    if (said.error) return;
    if (form === part("mark")) form.reset();
    await list();
  }));
}

async function list() {
  const fit = await ask(`${path}/fit`);
  part("marking").hidden = fit.stand === null;
  for (const [field, value] of Object.entries(fit.stand ?? {})) {
    const input = part("stand").elements[field];
    if (document.activeElement !== input) input.value = value;
  }
  const { marks, fewest, model, residual_deg: residual, problem } = fit;
  setText(part("fit"), problem ? `${say("marks-problem")} ${problem}`
    : residual === null ? say("marks-few", { n: marks.length, fewest })
      : say("marks-fitted", { deg: residual.toFixed(2), model: say(`mount.${model}`) }));
  part("fit").dataset.residual = residual ?? "";
  part("marks").replaceChildren(...marks.map(markItem));
}

function markItem(mark, n) {
  const remove = make("button", { type: "button" }, say("draw-remove"));
  remove.addEventListener("click", pressable(remove, markAnswer, async () => {
    await order(`${path}/remove`, { number: n });
    await list();
  }));
  const off = mark.error_deg === null ? "" : say("mark-off", { deg: mark.error_deg.toFixed(2) });
  return make("li", { class: "panel", "data-mark": n },
    make("p", {}, make("b", {}, mark.name || `${n + 1}`), " ", off ? make("span", { class: "pill dim" }, off) : null),
    make("p", { class: "dim" }, `${mark.lat.toFixed(6)}, ${mark.lon.toFixed(6)}, ${mark.height_m.toFixed(1)} m`),
    make("div", { class: "row-tools" }, remove));
}

sends(part("stand"), `${path}/stand`, part("stand-answer"), "draw-saved");
sends(part("mark"), path, markAnswer, "marks-noted");
list().catch(() => setText(part("fit"), say("setup-failed")));
