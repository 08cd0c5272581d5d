// The incidents that have arrived, newest first, each with its picture and the way to its clip.

import { make } from "/static/element.js";
import { millis, say, sayCode, timeOfDay } from "/static/words.js";

/** Make the items. `names` maps camera ids; `askClip(incident, button)` is called for a clip. */
export function incidentItems(incidents, names, askClip) {
  if (!incidents.length) return [make("li", { class: "none" }, say("no-events"))];
  return incidents.map((incident) => make("li", { class: "event", "data-incident": incident.id },
    thumbnail(incident.picture_number === null ? null
      : `/api/center/incidents/${encodeURIComponent(incident.id)}/picture.jpg?n=${incident.picture_number}`),
    make("div", { class: "what" },
      make("div", { class: "line" }, make("b", {}, sayCode("kind", incident.kind)), phasePill(incident.phase),
        incident.is_historical ? make("span", { class: "pill dim" }, say("historical")) : null),
      make("span", {}, names.get(incident.camera_id) || incident.camera_id || incident.box,
        make("span", { class: "dim" }, ` · ${timeOfDay(incident.began)}`)),
      make("span", { class: "dim small" },
        [say("delay", { ms: millis(incident.delay_ms) }), incident.messages > 1 ? say("messages", { n: incident.messages }) : "",
          incident.labels.map((label) => sayCode("label", label)).join(", "), incident.detail ?? ""]
          .filter(Boolean).join(" · "))),
    make("div", { class: "how" }, clipButton(incident, askClip))));
}

function clipButton(incident, askClip) {
  if (incident.camera_id === null) return null;
  const button = make("button", { type: "button", onclick: () => askClip(incident, button) }, `▶ ${say("clip-of-event")}`);
  return button;
}

function phasePill(phase) {
  return make("span", { class: `pill ${{ new: "bad", update: "warn", end: "dim" }[phase] ?? "dim"}` }, sayCode("phase", phase));
}

function thumbnail(src) {
  return src ? make("img", { class: "thumb", src, alt: "", loading: "lazy" })
    : make("span", { class: "thumb", "aria-hidden": "true" });
}
