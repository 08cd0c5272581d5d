// Gives an order through the center's app; resolves with its line of the log.

import { say } from "/static/words.js";

const token = document.querySelector("meta[name=poleside-token]").content;

/** `box` is {site, box}; `args` are those of the command contract. Rejects when it can't be given. */
export function order(box, args) {
  return post("/api/center/orders", { ...box, args });
}

/** One step of a joystick; resolves with {lease}, its line of the log when one was asked for. */
export function step(box, cameraId, speeds) {
  return post("/api/center/steps", { ...box, camera_id: cameraId, ...speeds });
}

/** The 119 button: calls the cameras to the fire; again, it lets them go. */
export function press() {
  return post("/api/center/fire", {});
}

async function post(path, content) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-poleside-token": token },
    body: JSON.stringify(content),
  });
  if (!answer.ok) throw new Error(say("order-failed"));
  return answer.json();
}
