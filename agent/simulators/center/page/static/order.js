// Gives an order through the center's app; resolves with its line of the log.

import { say } from "/static/words.js";

const token = document.querySelector("meta[name=poleside-token]").content;

/** `box` is {site, box}; `args` are those of the command contract. Rejects when it can't be given. */
export async function order(box, args) {
  const answer = await fetch("/api/center/orders", {
    method: "POST",
    headers: { "content-type": "application/json", "x-poleside-token": token },
    body: JSON.stringify({ ...box, args }),
  });
  if (!answer.ok) throw new Error(say("order-failed"));
  return answer.json();
}
