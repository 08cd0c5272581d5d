// The technician's first steps: is the box itself well, which cameras are there, does each send well.

import { acceptForm, acceptedLine, follow } from "./accept_camera.js";
import "./center_way.js";
import { make, setText } from "./element.js";
import { poll } from "./poll.js";
import { hintLines, order, pressable, refusedLines } from "./setup_order.js";
import { testPanel } from "./site_test.js";
import { amount, orUnknown, say, timeOfDay } from "./words.js";

const part = (id) => document.getElementById(id);

// Which of the box's faults belong to which line of the self-test.
const LINES = [
  ["disk", (code) => /^(disk|storage)\./.test(code), ({ disk }) => orUnknown(disk.free_bytes, amount)],
  ["heat", (code) => /^board\.(hot|too_hot|throttled|fan|sheds)/.test(code),
    ({ board }) => orUnknown(board.temperature_c, (c) => `${c.toFixed(0)} °C`)],
  ["supply", (code) => /^board\.(under_voltage|on_battery)/.test(code),
    ({ board }) => say(`undervolted.${board.is_undervolted ?? "unknown"}`)],
  ["uplink", (code) => /^(link|outbox)\./.test(code),
    ({ link }) => say(`link.${link.is_connected ?? "unknown"}`)],
  ["clock", (code) => code.startsWith("clock."), ({ tq }) => say(`tq.${tq}`)],
];
const WELL = {
  disk: ({ disk }) => (disk.free_bytes === null ? null : true),
  heat: ({ board }) => (board.temperature_c === null ? null : board.is_throttled !== true),
  supply: ({ board }) => (board.is_undervolted === null ? null : !board.is_undervolted),
  uplink: ({ link }) => link.is_connected,
  clock: ({ tq }) => tq === "ntp" || tq === "gnss",
};

let shown = "";
poll(() => "/api/state", 2000, (state) => {
  follow(state);
  const lines = LINES.map(([name, isOf, value]) => selfTestLine(name, value(state), WELL[name](state),
    state.faults.filter((fault) => !fault.camera_id && isOf(fault.code))));
  const key = lines.map((line) => line.outerHTML).join("");
  if (key === shown) return;
  shown = key;
  part("selftest").replaceChildren(...lines);
}, () => setText(part("found-note"), say("box-lost")));

function selfTestLine(name, value, isWell, faults) {
  const word = faults.length || isWell === false ? "bad" : isWell === null ? "unknown" : "good";
  return make("li", { class: "panel", "data-test": name, "data-result": word },
    make("p", {}, make("b", {}, say(`selftest.${name}`)), ` ${value} `,
      make("span", { class: `pill ${word === "unknown" ? "dim" : word}` }, say(`selftest-${word}`))),
    ...faults.map(hintLines).flat());
}

part("find").addEventListener("click", async () => {
  part("find").disabled = true;
  setText(part("found-note"), say("setup-finding"));
  try {
    const { found } = await order("/setup/find", {});
    part("found").replaceChildren(...found.map(foundItem));
    setText(part("found-note"), say("setup-found", { n: found.length }));
  } catch {
    setText(part("found-note"), say("setup-failed"));
  } finally {
    part("find").disabled = false;
  }
});

const rtspForm = part("rtsp-form");
const rtspAnswer = part("rtsp-answer");
rtspForm.addEventListener("submit", pressable(rtspForm.querySelector("button"), rtspAnswer, async () => {
  rtspAnswer.replaceChildren(make("p", {}, say("rtsp-finding")));
  const said = await order("/setup/find/rtsp", { address: rtspForm.elements.address.value });
  rtspAnswer.replaceChildren(...(said.error ? refusedLines(said) : []));
  for (const camera of said.found ?? []) {
    part("found").querySelector(`[data-found="${CSS.escape(camera.epr)}"]`)?.remove();
    part("found").prepend(foundItem(camera));
  }
}));

function foundItem(camera) {
  const answer = make("div", { class: "answer", role: "status" });
  const head = [
    make("p", {}, make("b", {}, camera.name || camera.address), ` ${camera.hardware}`),
    make("p", { class: "dim" }, camera.address),
  ];
  const item = (...rest) => make("li", { class: "panel", "data-found": camera.epr }, ...head, ...rest, answer);
  if (camera.camera_id) return item(acceptedLine(camera.camera_id));
  const username = make("input", { name: "username", autocapitalize: "none", autocomplete: "off" });
  const password = make("input", { name: "password", type: "password", autocomplete: "off" });
  const button = make("button", {}, say("setup-verify"));
  const form = make("form", { class: "fields" },
    make("label", {}, say("setup-user"), username), make("label", {}, say("password"), password), button);
  form.addEventListener("submit", pressable(button, answer, async () => {
    answer.replaceChildren(make("p", {}, say("setup-verifying")));
    const login = { epr: camera.epr, username: username.value, password: password.value };
    const said = await order("/setup/verify", login);
    answer.replaceChildren(...verified(said));
    if (!said.is_in) return;
    answer.append(acceptForm(camera, (line) => { form.remove(); answer.lastChild.replaceWith(line); }));
  }));
  return item(form);
}

function verified(found) {
  const picture = found.jpeg && make("img", { class: "still", alt: say("setup-still"), src: `data:image/jpeg;base64,${found.jpeg}` });
  return [
    make("p", { class: `pill ${found.is_in ? "good" : "bad"}` }, say(found.is_in ? "setup-in" : "setup-not-in")),
    ...(picture ? [make("figure", {}, picture, make("figcaption", { class: "dim" }, say("still-at", { at: timeOfDay(new Date()) })))] : []),
    ...(found.is_in ? [make("p", {}, `${found.maker} ${found.model} ${found.serial}`)] : []),
    ...found.streams.map((stream) => make("p", { "data-stream": stream.role }, say(stream.width_px ? "setup-stream" : "rtsp-stream", {
      role: say(`stream-role.${stream.role}`), codec: stream.encoding, width: stream.width_px,
      height: stream.height_px, fps: stream.fps, gop: stream.gop,
    }))),
    ...(found.clock_ahead_s === null ? [] : [make("p", {}, say("setup-clock", { s: found.clock_ahead_s.toFixed(1) }))]),
    ...found.hints.map(hintLines).flat(),
  ];
}

part("tests").append(testPanel("bell"));

const codeAnswer = part("code-answer");
const tellCode = (words, tone) => codeAnswer.replaceChildren(
  make("p", { class: `pill ${tone}`, "data-code-said": words }, say(words)));
part("code-send").addEventListener("click", pressable(part("code-send"), codeAnswer, async () => {
  await order("/setup/code", {});
  tellCode("code-sent", "dim");
}));
const codeForm = part("code-form");
codeForm.addEventListener("submit", pressable(codeForm.querySelector("button"), codeAnswer, async () => {
  const { outcome } = await order("/setup/code/check", { code: codeForm.elements.code.value });
  tellCode(`code.${outcome}`, outcome === "right" ? "good" : "bad");
}));
