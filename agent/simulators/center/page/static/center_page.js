// The demo's page: the box's own cards on the left, the center on the right.

import "/static/box_cards.js";
import { make } from "/static/element.js";
import { ask, poll } from "/static/poll.js";
import { amount, duration, millis, orUnknown, say, sayCode, timeOfDay } from "/static/words.js";
import { boardTiles } from "./board_tiles.js";
import { FirePanel } from "./fire.js";
import { incidentItems } from "./incident_list.js";
import { TrafficLight } from "./light.js";
import { order } from "./order.js";
import { ptzPad } from "./ptz.js";
import { tile } from "./tile.js";

const CLIP_BEFORE_S = 5;
const CLIP_AFTER_S = 5;
const CLIP_MAX_S = 30;

const part = (id) => document.getElementById(id);
const centerLight = new TrafficLight(part("center-lost"));
const firePanel = new FirePanel();
const shown = {}; // what each list shows, so that it is only rebuilt when it changed
let pole = null;
let center = null;

function poleBox() {
  return { site: pole.site, box: pole.box_id };
}

/** The box has written its cameras' cards: each that turns gets its pad. */
async function showPole() {
  try {
    pole = await ask("/pole/api/state");
  } catch {
    part("cameras").querySelector(".have").value = ""; // they come again with the next answer
    return;
  }
  for (const card of part("cameras").querySelectorAll("[data-ptz]")) {
    if (!card.querySelector(".ptz")) card.querySelector("live-picture").after(ptzPad(card.dataset.camera, poleBox));
  }
  showOrderButtons();
}

function showCenter(state) {
  center = state;
  document.querySelector(".center").classList.remove("lost");
  if (state.link) centerLight.render("red", say("broker-lost"), [{ sentence: state.link, hint: "", light: "red" }]);
  else if (state.doubts.length) centerLight.render("red", say("doubts", { count: state.doubts.length }), state.doubts.map(doubtItem));
  else centerLight.clear();
  part("tiles").replaceChildren(...centerTiles(state));
  rebuild("events", [state.incidents, [...cameraNames()]],
    () => incidentItems(state.incidents, cameraNames(), askClip));
  firePanel.show(state.fire, cameraNames());
  rebuild("log", state.orders, () => logItems(state.orders));
}

function doubtItem(doubt) {
  return { sentence: `${doubt.address.box}: ${sayCode("doubt", doubt.code)}`, hint: `${timeOfDay(doubt.at)} ${doubt.detail}`, light: "red" };
}

function rebuild(id, value, items) {
  const key = JSON.stringify(value);
  if (shown[id] === key) return;
  shown[id] = key;
  part(id).replaceChildren(...items());
}

function cameraNames() {
  const told = (center?.boxes ?? []).flatMap((box) => box.info?.cameras ?? []);
  return new Map([...told, ...(pole?.cameras ?? [])].map((camera) => [camera.camera_id, camera.name]));
}

function centerTiles(state) {
  if (!state.boxes.length) return [tile("tile.presence", say("unknown"), say("no-boxes"))];
  const last = state.incidents.find((incident) => !incident.is_historical);
  return state.boxes.flatMap((box) => {
    const sum = (field) => box.streams.reduce((total, stream) => total + stream[field], 0);
    const ageS = box.telemetry_at && (Date.parse(state.utc_now) - Date.parse(box.telemetry_at)) / 1000;
    const upto = box.streams.map((stream) => `${sayCode("stream", stream.stream)} ${stream.upto}`).join(", ");
    return [
      tile("tile.presence", say(`presence.${box.online}`), ageS === null ? say("unknown")
        : say("telemetry-age", { age: duration(ageS) }), box.online ? "good" : "bad", { box: box.address.box }),
      ...stateTiles(box, state.sessions?.[`${box.address.site}/${box.address.box}`] ?? []),
      tile("tile.stored", String(sum("stored")), sum("missing") > 0
        ? say("stored-missing", { missing: sum("missing"), why: whyMissing(box.streams) }) : say("stored-upto", { upto: upto || 0 }),
      sum("missing") > 0 ? "warn" : "good"),
      tile("tile.redelivered", String(sum("redelivered")), say("redelivered-note")),
      tile("tile.waiting", orUnknown(box.telemetry?.outbox?.waiting), orUnknown(box.telemetry?.outbox?.waiting_bytes, amount)),
      tile("tile.acked", orUnknown(box.telemetry?.outbox?.acked_total), say("acked-note")),
      tile("tile.audit", orUnknown(box.audit?.entries), box.audit?.doubts > 0
        ? say("audit-doubts", { count: box.audit.doubts }) : say("audit-whole"), box.audit?.doubts > 0 ? "bad" : "good"),
      ...(box.telemetry?.read_back ? [tile("tile.read-back", box.telemetry.read_back, say("read-back-note"), "warn")] : []),
      tile("tile.delay", orUnknown(last?.delay_ms, millis), say("delay-note")),
      ...boardTiles(box.telemetry, state.faults?.[`${box.address.site}/${box.address.box}`]),
    ];
  });
}

/** Why records never came, in the box's words: they were too old, or had no room. */
function whyMissing(streams) {
  const counts = new Map();
  for (const [why, count] of streams.flatMap((stream) => Object.entries(stream.missing_why))) {
    counts.set(why, (counts.get(why) ?? 0) + count);
  }
  return [...counts].map(([why, count]) => `${sayCode("gap", why)} ${count}`).join(", ");
}

/** What the box made of its settings, and whether its line and its name are its own. */
function stateTiles(box, sessions) {
  const tones = { none: "good", applied: "good", partly: "warn", refused: "bad", "rolled-back": "bad" };
  const made = [];
  if (box.config) {
    const { status, version, errors, on_trial: onTrial } = box.config;
    const refused = (errors ?? []).map((error) => error.path).join(", ");
    made.push(tile("tile.config", say(`config.${status}`),
      refused || say(onTrial ? "config-trial" : "config-version", { version }), tones[status]));
  }
  const [newest, before] = sessions;
  const gapS = before?.until ? (Date.parse(newest.since) - Date.parse(before.until)) / 1000 : null;
  if (box.has_twin) made.push(tile("tile.sessions", say("twin"), "", "bad"));
  else if (newest) {
    made.push(tile("tile.sessions", String(sessions.length), gapS === null ? say("sessions-whole")
      : say("sessions-gap", { gap: duration(Math.max(0, gapS)) }), "good"));
  }
  return made;
}

function showOrderButtons() {
  rebuild("order-buttons", [pole.site, pole.box_id, pole.cameras.map((camera) => [camera.camera_id, camera.name])], () => [
    orderButton("ping", say("op.ping"), () => ({ op: "ping" })),
    ...pole.cameras.map((camera) => orderButton("snapshot", say("snapshot-of", { name: camera.name || camera.camera_id }),
      () => ({ op: "snapshot", camera_id: camera.camera_id }))),
  ]);
}

function orderButton(name, text, args) {
  const button = make("button", { type: "button", "data-order": name, onclick: () => give(button, poleBox(), args()) }, text);
  return button;
}

async function askClip(incident, button) {
  const nowMs = Date.parse(center.utc_now);
  const startMs = Date.parse(incident.began) - CLIP_BEFORE_S * 1000;
  const lastMs = Date.parse(incident.ended ?? incident.last_at) + CLIP_AFTER_S * 1000;
  const endMs = Math.min(lastMs, nowMs, startMs + CLIP_MAX_S * 1000);
  button.textContent = say("clip-asked");
  await give(button, { site: incident.site, box: incident.box }, {
    op: "clip", camera_id: incident.camera_id, upload_url: "",
    start_at: new Date(startMs).toISOString(), end_at: new Date(endMs).toISOString(),
  });
  button.textContent = `▶ ${say("clip-of-event")}`;
}

async function give(button, box, args) {
  button.disabled = true;
  try {
    const entry = await order(box, args);
    if (entry.file_type) view(entry);
    else if (entry.state !== "done") tell(`${sayCode("op", entry.op)}: ${sayCode("order", entry.state)}. ${entry.message} ${entry.hint}`);
  } catch (error) {
    tell(error.message);
  }
  button.disabled = false;
}

function tell(text) {
  openViewer(make("p", { role: "alert" }, text));
}

/** Show a file that an order brought: a clip plays, a snapshot is shown, anything else is saved. */
function view(entry) {
  const src = `/api/center/files/${encodeURIComponent(entry.command_id)}`;
  const save = make("a", { class: "button", href: src, download: `${entry.op}-${entry.camera_id}` }, say("save"));
  if (entry.file_type !== "video/mp4") {
    openViewer(make("img", { src, alt: sayCode("op", entry.op) }), save);
    return;
  }
  const video = make("video", {
    src, controls: true, autoplay: true, playsinline: true,
    onerror: () => video.replaceWith(make("p", { role: "alert" }, say("video-unplayable"))),
  });
  video.muted = true;
  openViewer(video, ...holeTexts(entry), save);
}

/** The times that recorded video lacks, and why, in the box's words; of very many it tells some. */
function holeTexts(entry) {
  const texts = entry.holes.map((hole) => say("hole", {
    since: timeOfDay(hole.from), until: timeOfDay(hole.to), cause: sayCode("gap", hole.cause),
  }));
  if (entry.holes_untold) texts.push(say("holes-untold", { n: entry.holes_untold }));
  return texts.map((text) => make("p", { class: "hole" }, text));
}

function openViewer(...content) {
  const close = make("button", { type: "button", onclick: () => { part("viewer").hidden = true; part("viewer").replaceChildren(); } }, say("close"));
  part("viewer").replaceChildren(...content, close);
  part("viewer").hidden = false;
  part("viewer").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function logItems(orders) {
  if (!orders.length) return [make("li", { class: "none dim" }, say("no-orders"))];
  const tones = { done: "good", failed: "bad", expired: "bad", refused: "bad", unknown: "warn" };
  return orders.map((entry) => make("li", {},
    make("span", { class: "dim" }, timeOfDay(entry.ordered_at)),
    make("b", {}, sayCode("op", entry.op), entry.camera_id
      ? make("span", { class: "dim" }, ` ${cameraNames().get(entry.camera_id) || entry.camera_id}`) : ""),
    make("span", { class: `pill ${tones[entry.state] ?? "dim"}` }, sayCode("order", entry.state)),
    make("span", { class: "times" }, timesText(entry)),
    entry.file_type ? make("button", { type: "button", onclick: () => view(entry) }, say("show-file")) : null,
    ...holeTexts(entry),
    entry.message ? make("span", { class: "dim message" }, `${entry.message} ${entry.hint}`) : null));
}

function timesText(entry) {
  if (entry.first_ms === null) return "";
  const first = say("round-trip", { ms: millis(entry.first_ms) });
  if (entry.done_ms === null || entry.done_ms - entry.first_ms < 1) return first;
  return `${first}, ${say("done-after", { ms: millis(entry.done_ms) })}`;
}

part("sides").addEventListener("click", (click) => {
  const side = click.target.dataset.side;
  if (!side) return;
  document.querySelector(".halves").dataset.side = side;
  for (const button of part("sides").children) {
    button.setAttribute("aria-pressed", String(button.dataset.side === side));
  }
});

document.addEventListener("htmx:oobAfterSwap", ({ detail }) => {
  if (detail.target === part("cameras")) showPole();
});
poll(() => "/api/center/state", 1000, showCenter, () => {
  document.querySelector(".center").classList.add("lost");
  centerLight.render("lost", say("center-lost"), [{ sentence: say("center-lost-detail"), hint: "", light: "lost" }]);
});
