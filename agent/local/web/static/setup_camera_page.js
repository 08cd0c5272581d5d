// One camera's set-up: zones, lines and masks drawn on the picture, and its tests.

import { Drawing } from "./drawing.js";
import { make, setText } from "./element.js";
import { livePicture } from "./live_picture.js";
import { ask } from "./poll.js";
import { Masks } from "./setup_masks.js";
import { order, pressable, refusedLines } from "./setup_order.js";
import { testPanel } from "./site_test.js";
import { say, sayCode } from "./words.js";

const part = (id) => document.getElementById(id);
const { camera: cameraId, name } = part("setup").dataset;
const base = `/setup/cameras/${encodeURIComponent(cameraId)}`;
const path = `${base}/rules`;
const answer = part("answer");
const masks = new Masks(base, answer);
const MOST_CORNERS = 12;
let rules = [];
let drawn = null; // the rule under the finger: {rule_id, kind, isLine}

const picture = livePicture("", { camera_id: cameraId, name });
part("picture").append(picture.root);
const drawing = new Drawing(picture.root, (points, canUndo) => {
  part("undo").disabled = !canUndo;
  part("save").disabled = points.length < (drawn?.isLine ? 2 : 3);
});

function begin(rule, points) {
  drawn = rule;
  answer.replaceChildren();
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
  const taken = new Set(rules.map(({ rule_id }) => rule_id));
  let n = 1;
  while (taken.has(`${kind}-${n}`)) n += 1;
  return { rule_id: `${kind}-${n}`, kind, isLine: kind === "line-crossing" };
}

part("new").addEventListener("click", () => begin(newRule(part("kind").value), []));
part("undo").addEventListener("click", () => drawing.undo());
part("cancel").addEventListener("click", end);
part("save").addEventListener("click", pressable(part("save"), answer, async () => {
  const { rule_id, kind } = drawn;
  if (kind === "mask") {
    if (await masks.save(drawing.points)) end();
    return;
  }
  if (await change(path, { rule_id, kind, points: JSON.stringify(drawing.points) }, "draw-saved")) end();
}));

async function change(address, fields, done) {
  const said = await order(address, fields);
  answer.replaceChildren(...(said.error ? refusedLines(said) : [make("p", { class: "pill good" }, say(done))]));
  if (!said.error) await list();
  return !said.error;
}

async function list() {
  ({ rules } = await ask(path));
  part("rules").replaceChildren(...rules.map(ruleItem));
}

function ruleItem(rule) {
  const edit = make("button", { type: "button" }, say("draw-change"));
  const remove = make("button", { type: "button" }, say("draw-remove"));
  const isLine = rule.points.length === 2;
  edit.addEventListener("click", () => begin({ ...rule, isLine }, rule.points));
  remove.addEventListener("click", pressable(remove, answer, async () => {
    end();
    await change(`${path}/remove`, { rule_id: rule.rule_id }, "draw-removed");
  }));
  return make("li", { class: "panel", "data-rule": rule.rule_id },
    make("p", {}, make("b", {}, sayCode("kind", rule.kind)), ` ${rule.rule_id} `,
      rule.is_on ? null : make("span", { class: "pill dim" }, say("draw-off"))),
    make("div", { class: "row-tools" }, rule.points.length ? edit : null, remove));
}

Promise.all([list(), masks.list()]).catch(() => answer.replaceChildren(make("p", { class: "sentence" }, say("setup-failed"))));
part("tests").append(testPanel("walk", cameraId), testPanel("cable", cameraId));
