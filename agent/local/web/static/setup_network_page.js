// The box's own network: shown, changed on trial, taken back by the box unless it is confirmed in time.

import { make, setText } from "./element.js";
import { poll } from "./poll.js";
import { order, pressable, refusedLines } from "./setup_order.js";
import { duration, say } from "./words.js";

const EVERY_MS = 2000;
const part = (id) => document.getElementById(id);
const answer = part("answer");
const form = part("net-form");
let shown = "";
let waited = false;

function showMethod() {
  part("net-static").hidden = form.elements.method.value !== "static";
}
form.elements.method.addEventListener("change", showMethod);

function fill(network) {
  const key = JSON.stringify(network);
  if (key === shown || (shown && form.contains(document.activeElement))) return; // not under a thumb
  shown = key;
  for (const name of ["method", "address", "gateway", "cameras"]) form.elements[name].value = network[name] ?? "";
  for (const name of ["dns", "ntp", "page_from"]) form.elements[name].value = network[name].join(" ");
  form.elements.service_port.checked = network.service_port;
  showMethod();
}

poll(() => "/setup/network/state", EVERY_MS, ({ network, confirm_within_s: leftS }) => {
  const waits = leftS !== null;
  part("net-confirm").hidden = !waits;
  if (waits) setText(part("net-left"), say("net-left", { left: duration(leftS) }));
  else if (waited && !answer.childElementCount) tell("net-back", "bad");
  waited = waits;
  fill(network);
}, () => tell("net-lost", "warn"));

function tell(words, tone) {
  answer.replaceChildren(make("p", { class: `pill wide ${tone}`, "data-net": words }, say(words)));
}

form.addEventListener("submit", pressable(form.querySelector("button"), answer, async () => {
  const said = await order("/setup/network", Object.fromEntries(new FormData(form)));
  answer.replaceChildren(...(said.error ? refusedLines(said) : []));
  if (!said.error) part("net-confirm").scrollIntoView({ block: "center" });
}));
part("confirm").addEventListener("click", pressable(part("confirm"), answer, async () => {
  const said = await order("/setup/network/confirm", {});
  if (said.error) answer.replaceChildren(...refusedLines(said));
  else tell("way-kept", "good");
}));
