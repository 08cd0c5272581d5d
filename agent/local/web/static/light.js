// The one traffic light: a colour, a plain sentence, and for each fault the one thing to do.

import { make } from "./element.js";
import { language, say } from "./words.js";

/** Keeps `container` showing the light of the last known state, or that the box is out of reach. */
export class TrafficLight {
  constructor(container) {
    this.container = container;
    this.shown = "";
  }

  show(state) {
    const count = state.faults.length;
    const title = state.light === "green" ? say("light.green") : say(`light.${state.light}`, { count });
    this.render(state.light, title, state.faults.map((fault) => ({
      sentence: fault[`sentence_${language}`], hint: fault[`hint_${language}`], light: fault.light,
    })));
  }

  showLost() {
    this.render("lost", say("box-lost"), [
      { sentence: say("box-lost-detail"), hint: say("box-lost-hint"), light: "lost" },
    ]);
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
        make("span", { class: "lamp", "aria-hidden": "true" }, { green: "✓", yellow: "!", red: "!" }[light] ?? "?"),
        make("div", {},
          make("h1", {}, title),
          faults.length ? make("ul", { class: "faults" }, ...faults.map(faultItem)) : null)));
  }
}

function faultItem({ sentence, hint, light }) {
  return make("li", { class: light },
    make("p", { class: "sentence" }, sentence),
    hint ? make("p", { class: "hint" }, make("b", {}, say("to-do")), ` ${hint}`) : null);
}
