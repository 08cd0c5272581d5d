// One tile of the center's half, as the box writes its own.

import { make } from "/static/element.js";
import { say } from "/static/words.js";

/** Make one tile: what, the value in large, a note below; `names` fill the words of `key`. */
export function tile(key, value, note, tone = "", names = {}) {
  return make("div", { class: `tile ${tone ?? ""}` },
    make("span", { class: "key" }, say(key, names)), make("b", {}, value), make("span", { class: "under" }, note));
}
