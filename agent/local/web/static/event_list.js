// The newest incidents of the box, with their picture.

import { make } from "./element.js";
import { say, sayCode, timeOfDay } from "./words.js";

/** Make the list items of the box's events. */
export function eventItems(events, state, base = "") {
  if (!events.length) return [make("li", { class: "none" }, say("no-events"))];
  const names = new Map((state?.cameras ?? []).map((camera) => [camera.camera_id, camera.name]));
  return events.map((event) => make("li", { class: "event" },
    thumbnail(event.has_picture ? `${base}/api/events/${encodeURIComponent(event.event_id)}/picture.jpg` : null),
    make("div", { class: "what" },
      make("b", {}, sayCode("kind", event.kind)),
      event.grade ? make("span", { class: "dim" }, sayCode("grade", event.grade)) : "",
      make("span", {}, names.get(event.camera_id) || event.camera_id || say("this-box")),
      make("span", { class: "dim" }, timeOfDay(event.began),
        event.labels.length ? ` · ${event.labels.map((label) => sayCode("label", label)).join(", ")}` : "")),
    make("div", { class: "how" },
      phasePill(event.phase),
      make("span", { class: "dim" }, event.is_acked === null ? "" : say(`acked.${event.is_acked}`)))));
}

export function phasePill(phase) {
  return make("span", { class: `pill ${{ new: "bad", update: "warn", end: "dim" }[phase] ?? "dim"}` }, sayCode("phase", phase));
}

export function thumbnail(src) {
  return src ? make("img", { class: "thumb", src, alt: "", loading: "lazy" })
    : make("span", { class: "thumb", "aria-hidden": "true" });
}
