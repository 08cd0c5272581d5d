// Asks again and again, one question at a time, and only while someone looks at the page.

const GIVE_UP_MS = 4000;

/**
 * Fetch JSON from `address()` every `everyMs`. `onAnswer(json)` gets each answer,
 * `onFail(error)` each failure; while `isWanted()` is false nothing is asked.
 */
export function poll(address, everyMs, onAnswer, onFail = () => {}, isWanted = () => true) {
  let timer = null;
  const turn = async () => {
    if (!document.hidden && isWanted()) {
      try {
        onAnswer(await ask(address()));
      } catch (error) {
        onFail(error);
      }
    }
    timer = setTimeout(turn, everyMs);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || timer === null) return;
    clearTimeout(timer);
    timer = null;
    turn();
  });
  turn();
}

/** Fetch JSON once; anything but a good answer is an error. */
export async function ask(address) {
  const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}
