// What htmx, which asks and puts the answers in their places, does not know: that a page nobody looks
// at rests, that a box out of reach is to be said, and that a thumb on a field is not to be disturbed.

import { isResting, RESTING_EVERY_MS } from "./poll.js";
import { sayTimes } from "./words.js";

// What came of an order or an ask is told on the page; the console is for mistakes of ours.
const TOLD = ["afterRequest", "timeout", "sendError", "sendAbort", "responseError"].map((name) => `htmx:${name}`);
const isGone = (name, { content }) => name === "htmx:oobErrorNoTarget" && !content.hasChildNodes(); // as it should be
window.htmx.logger = (elt, name, detail) => { if (TOLD.includes(name) || isGone(name, detail)) delete detail.error; };

const askedAtMs = new WeakMap();
const isAsking = ({ elt }) => elt.hasAttribute("data-asks");

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!isAsking(event.detail)) return;
  const { elt } = event.detail;
  const nowMs = performance.now();
  const isTooSoon = isResting() && nowMs - (askedAtMs.get(elt) ?? 0) < RESTING_EVERY_MS;
  if (document.hidden || isTooSoon) event.preventDefault();
  else askedAtMs.set(elt, nowMs);
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.xhr.status === 401) return; // to the login: the box says so itself
  if (isAsking(detail)) showReach(detail.elt.parentElement, Boolean(detail.successful));
  else if (!detail.successful) show(document.getElementById("failed"), detail.target);
});

let saidLost = [];

function showReach(asking, isInReach) {
  if (asking.classList.contains("lost") !== isInReach) return; // it is said already
  asking.classList.toggle("lost", !isInReach);
  const lost = document.getElementById("lost");
  if (!lost) return;
  const part = document.getElementById(lost.dataset.part);
  if (!isInReach) saidLost = show(lost, part);
  else if (!markOf(part)) saidLost.forEach((node) => node.remove()); // no answer of the box replaces it
}

const markOf = (part) => part.querySelector(":scope > .have");

/** Show a template; the part's mark goes with what it held, so that the next answer brings it anew. */
function show(template, part) {
  const have = markOf(part);
  const nodes = [...template.content.cloneNode(true).childNodes];
  part.replaceChildren(...nodes);
  if (have) {
    have.value = "";
    part.prepend(have);
  }
  return nodes;
}

let isAnswerToAsk = false; // an order's answer may well take the form that gave it
document.addEventListener("htmx:beforeSwap", ({ detail }) => { isAnswerToAsk = isAsking(detail.requestConfig); });
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  const typed = document.activeElement?.closest("input, select, textarea");
  if (isAnswerToAsk && typed && detail.target.contains(typed)) detail.shouldSwap = false;
});

for (const swapped of ["htmx:oobAfterSwap", "htmx:afterSwap"]) {
  document.addEventListener(swapped, ({ detail }) => sayTimes(detail.target));
}
sayTimes(document);
