// What a box tells of its board and pole: heat, supply, disk, detector, contacts and outputs, faults.

import { orUnknown, say, sayCode } from "/static/words.js";
import { tile } from "./tile.js";

const HEAT = { normal: "good", warm: "warn", hot: "warn", "very-hot": "bad", critical: "bad" };
const UNRELIABLE = ["unknown", "stuck", "broken", "chattering"];

/** Make the tiles of one sample, and of the faults told by then; of these alone before the first sample. */
export function boardTiles(sample, told) {
  const board = sample?.board;
  if (!board) return told?.known.length ? [faultTile(told)] : [];
  return [heatTile(board), powerTile(board), diskTile(board), detectorTile(sample), ...poleTile(board), faultTile(told)];
}

function heatTile(board) {
  const band = board.heat_band ?? "unknown";
  const silent = board.silent?.length ? say("board-silent", { parts: board.silent.join(", ") }) : sayCode("heat", band);
  return tile("tile.board-heat", orUnknown(board.temperature_c, (c) => `${c.toFixed(0)} °C`), silent,
    board.silent?.length ? "warn" : HEAT[band]);
}

function powerTile(board) {
  const word = board.on_battery ? "battery" : board.undervoltage ? "low" : board.undervoltage === false ? "good" : "unknown";
  const note = word === "battery" ? say("battery-left", { pct: board.battery_pct ?? "?" })
    : heldNote(board) ?? say(`throttled.${board.throttled ?? "unknown"}`);
  return tile("tile.board-power", say(`supply.${word}`), note,
    { battery: "warn", low: "bad", good: board.throttled ? "bad" : heldNote(board) ? "warn" : "good" }[word]);
}

/** What holds the board back short of throttling; undefined when nothing does. */
function heldNote({ throttled, power }) {
  const rails = Object.entries(power?.rails ?? {}).filter(([, rail]) => rail.over_current).map(([name]) => name);
  if (rails.length) return say("held.over-current", { rails: rails.join(", ") });
  if (throttled) return undefined;
  if (power?.frequency_capped) return say("held.capped");
  return power?.soft_limited ? say("held.soft") : undefined;
}

function diskTile(board) {
  const used = board.disk_life_used_pct;
  const worn = used >= 90 || ["warning", "urgent"].includes(board.disk_wear);
  return tile("tile.board-disk", orUnknown(used, (pct) => say("disk-life", { pct })),
    board.disk_read_only ? say("disk-read-only") : board.disk_wear ? sayCode("wear", board.disk_wear) : "",
    board.disk_read_only ? "bad" : worn ? "warn" : "");
}

function detectorTile(sample) {
  const blind = sample.detector_engine === "motion-only";
  const gpu = sample.board.gpu_load_pct === undefined ? "" : `, ${say("gpu-load", { pct: sample.board.gpu_load_pct.toFixed(0) })}`;
  return tile("tile.detector", sample.detector_engine ? sayCode("engine", sample.detector_engine) : say("unknown"),
    orUnknown(sample.detector_ms, (ms) => say("detector-ms", { ms: ms.toFixed(1) })) + gpu, blind ? "bad" : "");
}

function poleTile(board) {
  const contacts = Object.entries(board.contacts ?? {});
  const outputs = Object.entries(board.outputs ?? {});
  if (!contacts.length && !outputs.length) return [];
  const bad = contacts.some(([, state]) => UNRELIABLE.includes(state));
  const active = contacts.some(([, state]) => state === "active");
  return [tile("tile.pole", contacts.map(([name, state]) => `${name}: ${sayCode("contact", state)}`).join(", ") || "-",
    outputs.map(([name, on]) => `${name}: ${say(`output.${on ?? "unknown"}`)}`).join(", "),
    bad ? "bad" : active ? "warn" : "good")];
}

function faultTile(told) {
  const faults = told?.known ?? [];
  const untold = told?.untold ?? 0;
  const named = faults.map((fault) => `${fault.code} (${fault.subject})`);
  const isRed = faults.some((fault) => fault.severity === "red");
  return tile("tile.faults", String(faults.length + untold),
    [...named, ...(untold ? [say("faults-more", { count: untold })] : [])].join(", "),
    isRed ? "bad" : faults.length ? "warn" : "good");
}
