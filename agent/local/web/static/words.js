// The page's words and how it writes times, ages and amounts, in the language of the page.

const words = JSON.parse(document.getElementById("words").textContent);
export const language = document.documentElement.lang;

const clock = new Intl.DateTimeFormat(language, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** The words for `key`, with `{name}` replaced by values. */
export function say(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "?"));
}

/** The words for `prefix.code`, or the bare code when the catalogue doesn't know it yet. */
export function sayCode(prefix, code) {
  return words[`${prefix}.${code}`] ?? String(code);
}

/** "unknown" for null, else `text(value)`. */
export function orUnknown(value, text = String) {
  return value === null || value === undefined ? say("unknown") : text(value);
}

/** Time of day where the reader is. */
export function timeOfDay(iso) {
  return clock.format(new Date(iso));
}

/** Say the times below `root`, which the box writes in UTC, as the reader's own. */
export function sayTimes(root) {
  for (const time of root.querySelectorAll("time")) time.textContent = timeOfDay(time.dateTime);
}

/** A length of time in its two largest units. */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return say("seconds", { s });
  if (s >= 600 && s < 3600) return say("minutes-only", { m: Math.floor(s / 60) });
  if (s < 3600) return say("minutes", { m: Math.floor(s / 60), s: s % 60 });
  if (s < 86400) return say("hours", { h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) });
  return say("days", { d: Math.floor(s / 86400), h: Math.floor((s % 86400) / 3600) });
}

/** Bytes for people. */
export function amount(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${value.toFixed(value < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** Milliseconds for people. */
export function millis(ms) {
  return ms < 10_000 ? `${Math.round(ms)} ms` : duration(ms / 1000);
}
