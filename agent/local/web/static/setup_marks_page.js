// A PTZ camera's landmarks: bring a known place to the middle (tap it, or the arrows), say where it is.

import { draw, make } from "./element.js";
import { livePicture } from "./live_picture.js";
import { order, refusedLines } from "./setup_order.js";
import { say } from "./words.js";

const TURNS = {
  left: { pan: -0.3 }, right: { pan: 0.3 }, up: { tilt: 0.3 }, down: { tilt: -0.3 },
  in: { zoom: 0.4 }, out: { zoom: -0.4 },
};
const part = (id) => document.getElementById(id);
const { camera: cameraId, name } = part("setup").dataset;
const base = `/setup/cameras/${encodeURIComponent(cameraId)}`;
const markAnswer = part("mark-answer");
let isTurning = false;
let turned = 0;

const picture = livePicture("", { id: cameraId, name });
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

document.addEventListener("htmx:oobAfterSwap", () => { part("marking").hidden = !("stands" in part("fit").dataset); });
