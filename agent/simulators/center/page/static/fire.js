// The 119 button: one press, and the cameras that see the place turn and push live to the relay.

import { make, setText } from "/static/element.js";
import { say } from "/static/words.js";
import { press } from "./order.js";

const PICTURE_MS = 1000;

/** Shows the fire's panel; `show(fire, cameraNames)` comes with each state of the center. */
export class FirePanel {
  constructor() {
    this.button = document.getElementById("fire-button");
    this.note = document.getElementById("fire-note");
    this.pictures = document.getElementById("relayed");
    this.cards = new Map();
    this.button?.addEventListener("click", () => this.press());
    if (this.button) setInterval(() => this.refresh(), PICTURE_MS);
  }

  async press() {
    if (this.isPressing) return; // not disabled: the keyboard's focus would be lost
    this.isPressing = true;
    try {
      await press();
    } catch (error) {
      setText(this.note, error.message);
    }
    this.isPressing = false;
  }

  show(fire, names) {
    if (!this.button || !fire) return;
    this.button.setAttribute("aria-pressed", String(fire.is_open));
    setText(this.button, say(fire.is_open ? "fire-end" : "fire-press"));
    setText(this.note, say(fire.is_open ? "fire-open" : "fire-over", { incident: fire.incident }));
    const cameras = fire.is_open ? fire.cameras : [];
    for (const camera of cameras) this.card(camera, names);
    for (const [name, card] of this.cards) {
      if (cameras.some((camera) => nameOf(camera) === name)) continue;
      card.figure.remove();
      this.cards.delete(name);
    }
  }

  card(camera, names) {
    const name = nameOf(camera);
    if (!this.cards.has(name)) {
      const image = make("img", { alt: say("fire-picture"), hidden: true, onload: () => { image.hidden = false; } });
      const caption = make("figcaption", {});
      const figure = make("figure", { "data-relayed": name }, image, caption);
      this.cards.set(name, { figure, image, caption, isLive: false });
      this.pictures.append(figure);
    }
    const card = this.cards.get(name);
    card.isLive = camera.is_live;
    const parts = [names.get(camera.camera_id) || camera.camera_id];
    if (camera.aimed) parts.push(say("fire-aimed"));
    if (camera.is_live) parts.push(say("fire-live", { seconds: camera.first_frame_s ?? "?" }));
    setText(card.caption, parts.join(" · "));
  }

  refresh() {
    for (const [name, card] of this.cards) {
      if (card.isLive) card.image.src = `/api/center/relay/${encodeURIComponent(name)}.jpg?${Date.now()}`;
    }
  }
}

function nameOf(camera) {
  return `${camera.box}-${camera.camera_id}`;
}
