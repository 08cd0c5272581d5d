// One camera's live picture with what the box found in that very frame drawn over it.
// Every picture carries its age; an old one turns grey and says that it isn't live.

import { draw, make, place, setText } from "./element.js";
import { isResting, poll } from "./poll.js";
import { duration, say, sayCode } from "./words.js";

const EVERY_MS = 250;
const STALE_S = 3;
const RESTED_S = 15; // a picture that is older isn't there because the page rests
const SURE = 0.3; // below it a thing is framed, but not named

/** Make the element and keep it alive; `base` is "" or "/pole". Returns it and how to stop. */
export function livePicture(base, { id, name }) {
  const view = new LiveView(name);
  const seen = new IntersectionObserver(([entry]) => { view.isVisible = entry.isIntersecting; });
  seen.observe(view.root);
  const path = `${base}/api/cameras/${encodeURIComponent(id)}/live`;
  const stopPolling = poll(
    () => `${path}?have=${encodeURIComponent(view.pictureId)}`, EVERY_MS,
    (live) => view.show(live), () => {}, () => view.isVisible,
  );
  const ageing = setInterval(() => view.showAge(), EVERY_MS);
  const stop = () => { stopPolling(); clearInterval(ageing); seen.disconnect(); };
  return { root: view.root, stop };
}

class LiveView {
  constructor(name) {
    this.name = name;
    this.pictureId = "";
    this.isVisible = true;
    this.takenAtMs = null; // on this browser's monotonic clock
    this.image = make("img", { alt: "" });
    this.shapes = draw("svg", { class: "shapes", "aria-hidden": "true" });
    this.tags = make("div", { class: "tags" });
    this.age = make("span", { class: "age" });
    this.empty = make("p", { class: "empty" }, say("no-picture"));
    this.root = make("figure", { class: "picture waiting" },
      this.image, this.shapes, this.tags, this.empty, this.age);
  }

  async show(live) {
    if (live === null) return;
    const takenAtMs = performance.now() - live.age_s * 1000;
    if (live.jpeg !== null && !(await this.showFrame(live))) return;
    this.takenAtMs = takenAtMs;
    this.showAge();
  }

  async showFrame(live) {
    const image = make("img", {
      alt: say("live-of", { name: this.name }), src: `data:image/jpeg;base64,${live.jpeg}`,
      width: live.width_px, height: live.height_px,
    });
    try {
      await image.decode(); // so that picture and drawing change in the same paint
    } catch {
      return false; // a torn picture: the last good one stays, and ages
    }
    this.pictureId = live.picture_id;
    this.image.replaceWith(image);
    this.image = image;
    this.root.style.aspectRatio = `${live.width_px} / ${live.height_px}`;
    this.shapes.setAttribute("viewBox", `0 0 ${live.width_px} ${live.height_px}`);
    this.shapes.replaceChildren(
      ...live.zones.map((zone) => zoneShape(zone, live)),
      ...live.objects.map((object) => objectShape(object, live)),
    );
    this.tags.replaceChildren(...live.objects.filter(({ score }) => score >= SURE).map(objectTag));
    return true;
  }

  showAge() {
    const ageS = this.takenAtMs === null ? null : (performance.now() - this.takenAtMs) / 1000;
    const isLive = ageS !== null && ageS <= STALE_S;
    this.root.classList.toggle("waiting", ageS === null);
    this.root.classList.toggle("stale", ageS !== null && !isLive);
    if (ageS === null) setText(this.age, "");
    else if (isLive) setText(this.age, say("live-age", { s: ageS.toFixed(1) }));
    else {
      const isRested = isResting() && ageS <= RESTED_S;
      setText(this.age, say(isRested ? "resting-age" : "not-live-age", { age: duration(ageS) }));
    }
  }
}

function zoneShape(zone, live) {
  const points = zone.polygon.map(([x, y]) => `${x * live.width_px},${y * live.height_px}`).join(" ");
  return draw("polygon", { points, class: zone.is_active ? "zone active" : "zone" });
}

function objectShape({ region, label }, live) {
  return draw("rect", {
    x: region.x * live.width_px, y: region.y * live.height_px,
    width: region.width * live.width_px, height: region.height * live.height_px,
    rx: 3, class: `object ${label === "person" ? "person" : "thing"}`,
  });
}

function objectTag({ region, label, score }) {
  const text = `${sayCode("label", label)} ${Math.round(score * 100)}%`;
  const tag = make("span", { class: `tag ${label === "person" ? "person" : "thing"}` }, text);
  if (region.y < 0.08) tag.classList.add("inside");
  const isNearRightEdge = region.x > 0.6; // there the words go to the left, or they'd be cut off
  tag.classList.toggle("leftward", isNearRightEdge);
  return place(tag, { left: region.x + (isNearRightEdge ? region.width : 0), top: region.y });
}
