// The way to the center: shown, changed, and taken back by the box unless it is confirmed in time.

import { make, setText } from "./element.js";
import { poll } from "./poll.js";
import { order, pressable, refusedLines } from "./setup_order.js";
import { duration, say } from "./words.js";

const EVERY_MS = 2000;
const part = (id) => document.getElementById(id);
const answer = part("way-answer");
let waited = false;

poll(() => "/setup/center", EVERY_MS, ({ urls, confirm_within_s: leftS }) => {
  const waits = leftS !== null;
  setText(part("way-now"), say("way-now", { url: urls.join(", ") }));
  part("way-confirm").hidden = !waits;
  if (waits) setText(part("way-left"), say("way-left", { left: duration(leftS) }));
  else if (waited && !answer.childElementCount) tell("way-back", "bad");
  waited = waits;
});

function tell(words, tone) {
  answer.replaceChildren(make("p", { class: `pill ${tone}`, "data-way": words }, say(words)));
}

const form = part("way-form");
form.addEventListener("submit", pressable(form.querySelector("button"), answer, async () => {
  const said = await order("/setup/center", Object.fromEntries(new FormData(form)));
  answer.replaceChildren(...(said.error ? refusedLines(said) : []));
  if (!said.error) form.reset();
}));
part("confirm").addEventListener("click", pressable(part("confirm"), answer, async () => {
  const said = await order("/setup/confirm", {});
  if (said.error) answer.replaceChildren(...refusedLines(said));
  else tell("way-kept", "good");
}));
