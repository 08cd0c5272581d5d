// Aim mode: the live picture with a level line, how sharp it is, and how large a metre is in each zone.
// It ends by itself; what is not known is said so.

import { draw, make, setText } from "./element.js";
import { livePicture } from "./live_picture.js";
import { ask } from "./poll.js";
import { order, pressable } from "./setup_order.js";
import { duration, orUnknown, say } from "./words.js";

const EVERY_MS = 700;
const part = (id) => document.getElementById(id);
const { camera: cameraId, name } = part("setup").dataset;
const path = `/setup/cameras/${encodeURIComponent(cameraId)}/aim`;
const answer = part("answer");
const line = draw("line", { x1: 0, y1: 0.5, x2: 1, y2: 0.5 });
const level = draw("svg", { class: "level", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" }, line);
let picture = null;

function show(aimed) {
  setText(part("left"), say("aim-left", { left: duration(aimed.left_s) }));
  setText(part("focus"), orUnknown(aimed.focus, score));
  part("share").value = aimed.best ? aimed.focus / aimed.best : 0;
  setText(part("best"), aimed.best === null ? "" : say(`aim-best.${aimed.of}`, { best: score(aimed.best) }));
  if (aimed.detail) part("detail").src = `data:image/jpeg;base64,${aimed.detail}`;
  const [[, left], [, right]] = aimed.horizon ?? [[0, 0.5], [1, 0.5]];
  line.setAttribute("y1", left);
  line.setAttribute("y2", right);
  level.classList.toggle("known", aimed.horizon !== null);
  setText(part("level"), aimed.level_deg === null ? say("aim-level-unknown") : degrees(aimed.level_deg));
  if (part("pole")) setText(part("pole"), orUnknown(aimed.pole_lean_deg, degrees));
  const scales = new Map(aimed.scales.map((scale) => [scale.rule_id, scale]));
  part("scales").replaceChildren(...aimed.zones.map((id) => make("div", { "data-scale": id },
    make("dt", {}, id), make("dd", {}, orUnknown(scales.get(id), pixels)))));
  part("no-scales").hidden = aimed.zones.length > 0;
}

const score = (value) => value.toFixed(value < 100 ? 1 : 0);
const degrees = (value) => `${value.toFixed(1)}°`;
const pixels = ({ least_px_per_m: least, most_px_per_m: most }) =>
  say("aim-px", { least: Math.round(least), most: Math.round(most) });

async function look() {
  if (!picture) return;
  try {
    show(await ask(`${path}/look`));
    part("aiming").classList.remove("away");
  } catch (error) {
    if (String(error.message).endsWith("410")) return end("aim-over");
    part("aiming").classList.add("away"); // what is shown is old
  }
  setTimeout(look, EVERY_MS);
}

function end(words) {
  picture?.stop();
  picture?.root.remove();
  picture = null;
  part("begin").hidden = false;
  part("aiming").hidden = true;
  answer.replaceChildren(make("p", { class: "pill dim", "data-aim": words }, say(words)));
}

const form = part("begin");
form.addEventListener("submit", pressable(form.querySelector("button"), answer, async () => {
  await order(`${path}/begin`, { reason: form.elements.reason.value });
  answer.replaceChildren();
  form.hidden = true;
  part("aiming").hidden = false;
  picture = livePicture("", { id: cameraId, name });
  picture.root.append(level);
  part("picture").append(picture.root);
  look();
}));
part("end").addEventListener("click", pressable(part("end"), answer, async () => {
  await order(`${path}/end`, {});
  end("aim-ended");
}));
