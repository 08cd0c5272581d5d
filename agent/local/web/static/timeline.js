// The strip that shows what is on the disk: green recorded (low: the sub stream alone is left), grey
// held in memory for an event, red missing (tap: why), amber events.

import { make, place, setText } from "./element.js";
import { ask, poll } from "./poll.js";
import { duration, say, sayCode, timeOfDay } from "./words.js";

const EVERY_MS = 3000;
const RANGES_S = [600, 3600, 86400];
const FINGER_PX = 28;

/** Make one camera's strip and keep it up to date. Returns it and how to stop. */
export function timelineStrip(base, { id, eventOnly }) {
  const strip = new Strip(eventOnly !== undefined);
  const path = `${base}/api/cameras/${encodeURIComponent(id)}/timeline`;
  const address = () => `${path}?last_s=${strip.lastS}`;
  const stop = poll(address, EVERY_MS, (timeline) => strip.show(timeline));
  strip.onRange = () => ask(address()).then((timeline) => strip.show(timeline), () => {});
  return { root: strip.root, stop };
}

class Strip {
  /** Of a camera that is kept around events only, an empty strip is no fault. */
  constructor(isEventOnly) {
    this.lastS = RANGES_S[0];
    this.items = [];
    this.picked = -1;
    this.onRange = () => {};
    this.caption = make("span", { class: "caption" }, say(isEventOnly ? "on-disk-events" : "on-disk"));
    this.bar = make("button", { class: "strip", type: "button", onclick: (click) => this.pick(click) });
    this.start = make("span");
    this.note = make("span", { class: "note", role: "status" });
    this.end = make("span");
    this.ranges = RANGES_S.map((lastS) => this.rangeButton(lastS));
    this.root = make("div", { class: "timeline" },
      make("div", { class: "ranges", role: "group", "aria-label": say("range") },
        this.caption, ...this.ranges),
      this.bar,
      make("div", { class: "axis" }, this.start, this.end),
      this.note);
    this.markRange();
  }

  rangeButton(lastS) {
    return make("button", {
      class: "range", type: "button",
      onclick: () => { this.lastS = lastS; this.picked = -1; this.markRange(); this.onRange(); },
    }, say(`range.${lastS}`));
  }

  markRange() {
    this.ranges.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(RANGES_S[i] === this.lastS));
    });
    setText(this.note, "");
  }

  show(timeline) {
    const from = Date.parse(timeline.began);
    const until = Date.parse(timeline.until);
    const share = (iso) => Math.min(1, Math.max(0, (Date.parse(iso) - from) / (until - from)));
    const bar = (kind, began, ended) => {
      const left = share(began);
      return place(make("span", { class: kind }), { left, width: share(ended ?? timeline.until) - left });
    };
    this.items = [
      ...timeline.gaps.map((gap) => ({ ...gap, at: share(gap.began), to: share(gap.until ?? timeline.until), text: gapText(gap, timeline) })),
      ...timeline.events.map((event) => ({ ...event, at: share(event.began), to: share(event.until ?? timeline.until), text: eventText(event) })),
    ];
    this.bar.replaceChildren(
      ...timeline.held_segments.map(([began, ended]) => bar("held", began, ended)),
      ...timeline.sub_segments.map(([began, ended]) => bar("recorded sub", began, ended)),
      ...timeline.segments.map(([began, ended]) => bar("recorded", began, ended)),
      ...timeline.gaps.map((gap) => bar("gap", gap.began, gap.until)),
      ...timeline.events.map((event) => bar("happened", event.began, event.until)),
    );
    this.bar.setAttribute("aria-label", say("strip-label", { gaps: timeline.gaps.length, events: timeline.events.length }));
    setText(this.start, timeOfDay(timeline.began));
    setText(this.end, say("now"));
  }

  /** Say what was tapped; from the keyboard go through all gaps and events. */
  pick(click) {
    if (click.detail === 0) {
      this.picked = (this.picked + 1) % Math.max(1, this.items.length);
      setText(this.note, this.items[this.picked]?.text ?? say("strip-nothing"));
      return;
    }
    const { left, width } = this.bar.getBoundingClientRect();
    const x = (click.clientX - left) / width;
    const distance = (item) => Math.max(item.at - x, x - item.to, 0);
    const near = this.items
      .filter((item) => distance(item) * width <= FINGER_PX)
      .sort((a, b) => distance(a) - distance(b));
    setText(this.note, near.length ? near.slice(0, 3).map((item) => item.text).join(" · ") : say("strip-nothing"));
  }
}

function gapText(gap, timeline) {
  const lengthS = (Date.parse(gap.until ?? timeline.until) - Date.parse(gap.began)) / 1000;
  return say(gap.until ? "gap-text" : "gap-text-open", {
    at: timeOfDay(gap.began), length: duration(lengthS), cause: sayCode("gap", gap.cause),
  });
}

function eventText(event) {
  return say("event-text", { at: timeOfDay(event.began), kind: sayCode("kind", event.kind) });
}
