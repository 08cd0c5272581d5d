// Asks again and again, one question at a time, and only while someone looks at the page. A page
// that nobody has touched for a minute may rest, and asks seldom: the box has other work.

const GIVE_UP_MS = 4000;
const ALONE_AFTER_MS = 60000;
export const RESTING_EVERY_MS = 10000;
const TOUCHES = ["pointerdown", "pointermove", "keydown", "scroll", "focus"];
const wakes = new Set(); // one of each question that is asked again and again
let mayRest = false;
let touchedAtMs = performance.now();

for (const kind of TOUCHES) {
  addEventListener(kind, () => {
    const wasResting = isResting();
    touchedAtMs = performance.now();
    if (wasResting) wakes.forEach((wake) => wake());
  }, { capture: true, passive: true });
}

/** Let this page rest while nobody touches it: not one that is watched from a ladder. */
export function restWhenAlone() {
  mayRest = true;
}

export function isResting() {
  return mayRest && performance.now() - touchedAtMs > ALONE_AFTER_MS;
}

/**
 * Fetch JSON from `address()` every `everyMs`. `onAnswer(json)` gets each answer, `onFail(error)`
 * each failed question; while `isWanted()` is false nothing is asked. Returns how to stop it.
 */
export function poll(address, everyMs, onAnswer, onFail = () => {}, isWanted = () => true) {
  let timer = null; // null while a question is under way
  let isOver = false;
  const turn = async () => {
    timer = null;
    try {
      if (!document.hidden && isWanted()) await askAndTell(address(), onAnswer, onFail);
    } finally { // an error in `onAnswer` is a mistake of ours: loud, but not the end
      if (!isOver) timer = setTimeout(turn, isResting() ? Math.max(everyMs, RESTING_EVERY_MS) : everyMs);
    }
  };
  const wake = () => {
    if (document.hidden || timer === null) return;
    clearTimeout(timer);
    turn();
  };
  document.addEventListener("visibilitychange", wake);
  wakes.add(wake);
  turn();
  return () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", wake);
    wakes.delete(wake);
  };
}

async function askAndTell(address, onAnswer, onFail) {
  let answer;
  try {
    answer = await ask(address);
  } catch (error) {
    onFail(error);
    return;
  }
  await onAnswer(answer);
}

/** Fetch JSON once; anything but a good answer is an error. */
export async function ask(address) {
  const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}
