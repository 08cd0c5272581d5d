// One camera's set-up: zones, lines and masks drawn on the picture. Lists, tests and what came of an
// order are htmx's.

import { Drawing } from "./drawing.js";
import { setText } from "./element.js";
import { livePicture } from "./live_picture.js";
import { say } from "./words.js";

const part = (id) => document.getElementById(id);
const { camera: cameraId, name, csrf } = part("setup").dataset;
const base = `/setup/cameras/${encodeURIComponent(cameraId)}`;
const MOST_CORNERS = 12;
let drawn = null; // the rule under the finger: {rule_id, kind, isLine}

const picture = livePicture("", { id: cameraId, name });
part("picture").append(picture.root);
const drawing = new Drawing(picture.root, (points, canUndo) => {
  part("undo").disabled = !canUndo;
  part("save").disabled = points.length < (drawn?.isLine ? 2 : 3);
});

function begin(rule, points) {
  drawn = rule;
  part("answer").replaceChildren();
  part("choose").hidden = true;
  part("tools").hidden = false;
  setText(part("draw-hint"), say(`draw-hint-${rule.isLine ? "line" : rule.kind === "mask" ? "mask" : "zone"}`));
  drawing.begin(points, rule.isLine, rule.isLine ? 2 : MOST_CORNERS);
  part("picture").scrollIntoView({ block: "nearest" });
}

function end() {
  drawn = null;
  drawing.end();
  part("choose").hidden = false;
  part("tools").hidden = true;
}

function newRule(kind) {
  let n = 1;
  while (document.querySelector(`[data-rule="${kind}-${n}"]`)) n += 1;
  return { rule_id: `${kind}-${n}`, kind, isLine: kind === "line-crossing" };
}

part("new").addEventListener("click", () => begin(newRule(part("kind").value), []));
part("undo").addEventListener("click", () => drawing.undo());
part("cancel").addEventListener("click", end);
part("save").addEventListener("click", () => {
  const { rule_id, kind } = drawn;
  const points = JSON.stringify(drawing.points);
  const values = kind === "mask" ? { csrf, points } : { csrf, rule_id, kind, points };
  window.htmx.ajax("POST", `${base}/${kind === "mask" ? "masks" : "rules"}`, { source: part("save"), target: "#answer", values });
});

part("rules").addEventListener("click", ({ target }) => {
  if (!target.dataset.points) return;
  const points = JSON.parse(target.dataset.points);
  const { rule: rule_id } = target.closest("[data-rule]").dataset;
  begin({ rule_id, kind: target.dataset.kind, isLine: points.length === 2 }, points);
});
for (const list of ["rules", "masks"]) { // they come anew when an order was carried out
  document.addEventListener("htmx:oobAfterSwap", ({ detail }) => { if (detail.target === part(list)) end(); });
}
