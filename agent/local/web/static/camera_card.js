// One card a camera: state, live picture, what is on the disk, a few facts.

import { make, setText } from "./element.js";
import { livePicture } from "./live_picture.js";
import { timelineStrip } from "./timeline.js";
import { duration, orUnknown, say, sayCode } from "./words.js";

/** Keeps `container` filled with one card a camera. `extra(camera)` may add controls to a card. */
export class CameraCards {
  constructor(container, base = "", extra = () => null) {
    Object.assign(this, { container, base, extra, cards: new Map() });
  }

  show(state) {
    const ids = new Set(state.cameras.map((camera) => camera.camera_id));
    for (const [id, card] of this.cards) {
      if (!ids.has(id)) { card.remove(); this.cards.delete(id); }
    }
    for (const camera of state.cameras) {
      let card = this.cards.get(camera.camera_id);
      if (!card) {
        card = new CameraCard(camera, this.base, this.extra(camera));
        this.cards.set(camera.camera_id, card);
        this.container.append(card.root);
      }
      card.show(camera, state.utc_now);
    }
  }
}

class CameraCard {
  constructor(camera, base, extra) {
    this.picture = livePicture(base, camera);
    this.timeline = timelineStrip(base, camera.camera_id);
    this.name = make("h3");
    this.state = make("span", { class: "pill" });
    this.recording = make("span", { class: "pill" });
    this.facts = make("dl", { class: "facts" });
    this.root = make("article", { class: "card camera", "data-camera": camera.camera_id },
      make("header", {}, this.name, make("div", { class: "pills" },
        camera.is_simulated ? make("span", { class: "pill dim" }, say("simulated")) : null,
        this.recording, this.state)),
      this.picture.root, extra, this.timeline.root, this.facts);
  }

  remove() {
    this.picture.stop();
    this.timeline.stop();
    this.root.remove();
  }

  show(camera, utcNow) {
    setText(this.name, camera.name || camera.camera_id);
    const tone = {
      online: "good", degraded: "warn", connecting: "warn",
      lost: "bad", "auth-failed": "bad", "not-a-camera": "bad",
    };
    this.state.className = `pill ${tone[camera.state] ?? "dim"}`;
    setText(this.state, sayCode("camera", camera.state));
    this.recording.className = `pill ${{ true: "rec", false: "bad" }[camera.is_recording] ?? "dim"}`;
    const isEvents = camera.is_recording && camera.is_event_only;
    setText(this.recording, say(`recording.${isEvents ? "events" : camera.is_recording ?? "unknown"}`));
    this.timeline.sayMode(camera.is_event_only);
    this.facts.replaceChildren(
      ...fact("since", orUnknown(camera.since, (at) => duration((Date.parse(utcNow) - Date.parse(at)) / 1000))),
      ...fact("recorded", orUnknown(camera.recorded_s, duration)),
      ...fact("gaps", orUnknown(camera.gaps)),
      ...fact("sub-fps", orUnknown(camera.sub_fps, (fps) => fps.toFixed(1))),
      ...fact("detector", sayCode("detector", camera.detector)),
      ...fact("shed", orUnknown(camera.shed_share, (share) => `${Math.round(100 * share)} %`)),
      ...(camera.trials ?? []).flatMap((trial) => fact("trial", say("trial.told", {
        rule: trial.rule_id, raised: trial.raised,
        lasted: trial.lasted_days.toFixed(1), days: trial.days,
      }))),
    );
  }
}

function fact(key, value) {
  return [make("div", {}, make("dt", {}, say(key)), make("dd", {}, value))];
}
