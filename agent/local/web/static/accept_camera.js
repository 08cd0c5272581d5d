// A verified camera becomes one of the box's: named, written into its settings, watched until it records.

import { make, setText } from "./element.js";
import { hintLines, order, pressable, refusedLines } from "./setup_order.js";
import { say, sayCode } from "./words.js";

const TONES = { online: "good", degraded: "warn", connecting: "warn" };
const shown = new Map(); // camera id -> its line
let latest = null;

/** The form that accepts `camera`; `done` gets what takes its place. */
export function acceptForm(camera, done) {
  const id = make("input", {
    name: "camera_id", required: true, pattern: "[a-z0-9][a-z0-9\\-]{0,31}", autocapitalize: "none",
    autocomplete: "off", value: proposed(camera.name),
  });
  const name = make("input", { name: "name", maxlength: 64, autocomplete: "off", value: camera.name });
  const button = make("button", {}, say("accept"));
  const answer = make("div", { class: "answer", role: "status" });
  const form = make("form", { class: "fields", "data-accept": camera.epr },
    make("label", {}, say("accept-name"), name), make("label", {}, say("accept-id"), id), button, answer);
  form.addEventListener("submit", pressable(button, answer, async () => {
    const said = await order("/setup/accept", { epr: camera.epr, camera_id: id.value, name: name.value });
    if (said.error) answer.replaceChildren(...refusedLines(said));
    else done(acceptedLine(id.value));
  }));
  return form;
}

/** How a camera of the box does: it follows the state until it records. */
export function acceptedLine(cameraId) {
  const state = make("span", { class: "pill" });
  const recording = make("span", { class: "pill" });
  const fps = make("p");
  const amiss = make("div", { class: "answer" });
  const root = make("div", { class: "answer", "data-accepted": cameraId, role: "status" },
    make("p", {}, make("b", {}, say("setup-known", { id: cameraId }))),
    make("p", {}, state, " ", recording), fps, amiss,
    make("a", { class: "button", href: `/setup/cameras/${encodeURIComponent(cameraId)}` }, say("draw-open")));
  shown.set(cameraId, { root, state, recording, fps, amiss, said: "" });
  if (latest) follow(latest);
  return root;
}

/** Hand each new state of the box to the lines shown. */
export function follow(state) {
  latest = state;
  for (const [id, line] of shown) {
    const camera = state.cameras.find(({ camera_id }) => camera_id === id);
    const faults = state.faults.filter(({ camera_id }) => camera_id === id);
    line.state.className = `pill ${TONES[camera?.state] ?? (camera ? "bad" : "dim")}`;
    setText(line.state, sayCode("camera", camera?.state ?? "unknown"));
    line.recording.className = `pill ${camera?.is_recording ? "rec" : "dim"}`;
    setText(line.recording, say(`recording.${camera?.is_recording ?? "unknown"}`));
    setText(line.fps, camera?.sub_fps ? say("accept-fps", { fps: camera.sub_fps.toFixed(1) }) : "");
    const said = JSON.stringify(faults);
    if (said === line.said) continue;
    line.said = said;
    line.amiss.replaceChildren(...faults.map(hintLines).flat());
  }
}

function proposed(name) {
  const taken = new Set(latest?.cameras.map(({ camera_id }) => camera_id));
  const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 28);
  const free = (id) => id && !taken.has(id);
  if (free(slug)) return slug;
  for (let n = 1; ; n += 1) {
    const id = slug ? `${slug}-${n}` : `camera-${n}`;
    if (free(id)) return id;
  }
}
