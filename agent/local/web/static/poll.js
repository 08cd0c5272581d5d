// Asks again and again, one question at a time, and only while someone looks at the page. A page
// that nobody has touched for a minute asks less often: the box has other work.

const GIVE_UP_MS = 4000;
const ALONE_AFTER_MS = 60000;
const ALONE_FACTOR = 4;
const ALONE_LEAST_MS = 2000; // a picture counts as live for three seconds
const TOUCHES = ["pointerdown", "pointermove", "keydown", "scroll", "focus"];
let touchedAtMs = performance.now();

for (const kind of TOUCHES) {
  addEventListener(kind, () => { touchedAtMs = performance.now(); }, { capture: true, passive: true });
}

function pause(everyMs) {
  const isAlone = performance.now() - touchedAtMs > ALONE_AFTER_MS;
  return isAlone ? Math.max(everyMs * ALONE_FACTOR, ALONE_LEAST_MS) : everyMs;
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
      if (!isOver) timer = setTimeout(turn, pause(everyMs));
    }
  };
  const wake = () => {
    if (document.hidden || timer === null) return;
    clearTimeout(timer);
    turn();
  };
  document.addEventListener("visibilitychange", wake);
  turn();
  return () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", wake);
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
