// The set-up pages' orders to the box, and how what is amiss is shown.

import { make } from "./element.js";
import { say, sayCode } from "./words.js";

const GIVE_UP_MS = 60_000;
const REFUSED = 409; // nothing was changed; the answer says why

/** Send a form; a refusal is an answer with `error`, everything else that isn't well an exception. */
export async function order(path, fields) {
  const { csrf } = document.getElementById("setup").dataset;
  const answer = await fetch(path, {
    method: "POST", body: new URLSearchParams({ ...fields, csrf }),
    signal: AbortSignal.timeout(GIVE_UP_MS),
  });
  if (!answer.ok && answer.status !== REFUSED) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** Why an order was refused; the box's own words follow where the code alone is too little. */
export function refusedLines({ error, message }) {
  return [
    make("p", { class: "sentence", "data-code": error }, sayCode("refused", error)),
    ...(message ? [make("p", { class: "dim" }, message)] : []),
  ];
}

/** A button that gives `act` the say until it is done; `answer` shows a failure of the line. */
export function pressable(button, answer, act) {
  const press = async (event) => {
    event?.preventDefault();
    button.disabled = true;
    try {
      await act();
    } catch {
      answer.replaceChildren(make("p", { class: "sentence" }, say("setup-failed")));
    } finally {
      button.disabled = false;
    }
  };
  return press;
}
