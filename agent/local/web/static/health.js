// Link, outbox, disk, heat and clock as tiles, and everything else in one table for the curious.

import { make } from "./element.js";
import { amount, duration, millis, orUnknown, say, sayCode } from "./words.js";

/** Make the tiles of a box state. */
export function healthTiles(state) {
  const { link, outbox, disk, board } = state;
  const queued = Object.values(outbox.queued).reduce((sum, count) => sum + count, 0);
  const usedShare = disk.total_bytes ? 1 - disk.free_bytes / disk.total_bytes : null;
  return [
    tile("tile.link", say(`link.${link.is_connected ?? "unknown"}`), sinceText(link.since, state.utc_now),
      { true: "good", false: "bad" }[link.is_connected]),
    tile("tile.outbox", String(queued), outbox.oldest_age_s === null ? say("outbox-empty")
      : say("outbox-oldest", { age: duration(outbox.oldest_age_s) }), queued > 0 ? "warn" : "good"),
    tile("tile.latency", orUnknown(state.latency.p50_ms, millis),
      state.latency.p95_ms === null ? "" : say("latency-p95", { ms: millis(state.latency.p95_ms) })),
    tile("tile.disk", orUnknown(disk.free_bytes, amount), usedShare === null ? say("unknown")
      : say("disk-used", { pct: Math.round(usedShare * 100) }), usedShare > 0.95 ? "warn" : ""),
    tile("tile.heat", orUnknown(board.temperature_c, (c) => `${c.toFixed(0)} °C`),
      say(`throttled.${board.is_throttled ?? "unknown"}`), board.is_throttled ? "bad" : ""),
    tile("tile.clock", say(`tq.${state.tq}`), `${state.utc_now.slice(0, 19).replace("T", " ")} UTC`,
      state.tq === "ntp" ? "good" : "warn"),
  ];
}

/** Make the details: facts, then the process list. */
export function healthDetails(state) {
  const { link, outbox, disk, board } = state;
  const rows = [
    ["box", `${state.site} / ${state.box_id}`],
    ["version", state.version],
    ["board", (board.name || say("unknown")) + (board.is_simulated ? ` (${say("simulated")})` : "")],
    ["power", powerText(board)],
    ["endpoint", link.endpoint || say("unknown")],
    ["last-error", link.last_error ?? say("none")],
    ["queued", Object.entries(outbox.queued).map(([name, n]) => `${sayCode("stream", name)} ${n}`).join(", ") || say("none")],
    ["acked", orUnknown(outbox.acked)],
    ["evicted", orUnknown(outbox.evicted)],
    ["disk-recorded", orUnknown(disk.recorded_bytes, amount)],
    ["disk-total", orUnknown(disk.total_bytes, amount)],
  ];
  return [
    make("dl", { class: "rows" }, ...rows.map(([key, value]) =>
      make("div", {}, make("dt", {}, say(key)), make("dd", {}, value)))),
    make("h3", {}, say("processes")),
    make("ul", { class: "processes" }, ...state.processes.map(processRow)),
  ];
}

/** Make one tile: what, the value in large, a note below; `names` fill the words of `key`. */
export function tile(key, value, note, tone = "", names = {}) {
  return make("div", { class: `tile ${tone ?? ""}` },
    make("span", { class: "key" }, say(key, names)), make("b", {}, value), make("span", { class: "under" }, note));
}

function sinceText(since, utcNow) {
  return orUnknown(since, (at) => say("for-time", { time: duration((Date.parse(utcNow) - Date.parse(at)) / 1000) }));
}

function powerText(board) {
  const word = say(`undervolted.${board.is_undervolted ?? "unknown"}`);
  return board.voltage_v === null ? word : `${word} (${board.voltage_v.toFixed(2)} V)`;
}

function processRow(process) {
  return make("li", {},
    make("b", {}, process.name),
    make("span", { class: `pill ${process.state === "running" ? "good" : "warn"}` }, sayCode("process", process.state)),
    make("span", {}, `${say("pid")} ${orUnknown(process.pid)}`),
    make("span", {}, say("restarts", { n: orUnknown(process.restarts) })),
    make("span", {}, orUnknown(process.pss_mib, (mib) => `${mib.toFixed(0)} MiB`)),
    make("span", {}, orUnknown(process.cpu_pct, (pct) => `CPU ${pct.toFixed(0)} %`)));
}
