// The center's own light: a plain sentence, and for each fault the one thing to do.

import { make } from "/static/element.js";
import { say } from "/static/words.js";

/** Keeps `container` showing what was last told. */
export class TrafficLight {
  constructor(container) {
    this.container = container;
    this.shown = "";
  }

  clear() {
    this.shown = "";
    this.container.replaceChildren();
  }

  render(light, title, faults) {
    const key = JSON.stringify([light, title, faults]);
    if (key === this.shown) return; // unchanged: don't make a screen reader say it again
    this.shown = key;
    this.container.replaceChildren(
      make("section", { class: `light ${light}`, role: "status" },
        make("span", { class: "lamp", "aria-hidden": "true" }, light === "red" ? "!" : "?"),
        make("div", {}, make("h1", {}, title), make("ul", { class: "faults" }, ...faults.map(faultItem)))));
  }
}

function faultItem({ sentence, hint, light }) {
  return make("li", { class: light },
    make("p", { class: "sentence" }, sentence),
    hint ? make("p", { class: "hint" }, make("b", {}, say("to-do")), ` ${hint}`) : null);
}
