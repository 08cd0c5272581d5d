// Privacy masks of one camera: in the camera itself where it can, else in what the box looks at.

import { make, setText } from "./element.js";
import { ask } from "./poll.js";
import { order, pressable, refusedLines } from "./setup_order.js";
import { say } from "./words.js";

const part = (id) => document.getElementById(id);

export class Masks {
  /** Under the camera's `path`; `answer` shows what came of an order. */
  constructor(path, answer) {
    Object.assign(this, { path: `${path}/masks`, answer });
  }

  async save(points) {
    const said = await order(this.path, { points: JSON.stringify(points) });
    this.tell(said, `mask-saved.${said.where}`);
    if (!said.error) await this.list();
    return !said.error;
  }

  async list() {
    const { masks, camera } = await ask(this.path);
    part("masks").replaceChildren(...masks.map((mask, n) => this.item(mask, n)));
    const note = part("masks-note");
    note.hidden = !camera || camera === "ptz.no_onvif" || camera === "camera.not_supported";
    setText(note, say("masks-unknown"));
  }

  item({ token, where }, n) {
    const remove = make("button", { type: "button" }, say("draw-remove"));
    remove.addEventListener("click", pressable(remove, this.answer, async () => {
      const said = await order(`${this.path}/remove`, { token });
      this.tell(said, "draw-removed");
      if (!said.error) await this.list();
    }));
    return make("li", { class: "panel", "data-mask": token, "data-where": where },
      make("p", {}, make("b", {}, `${say("mask")} ${n + 1}`), " ",
        make("span", { class: `pill ${where === "camera" ? "good" : "warn"}` }, say(`mask-at.${where}`))),
      make("div", { class: "row-tools" }, remove));
  }

  tell(said, done) {
    this.answer.replaceChildren(...(said.error ? refusedLines(said)
      : [make("p", { class: done.endsWith("box") ? "sentence" : "pill good", "data-done": done }, say(done))]));
  }
}
