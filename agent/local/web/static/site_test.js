// One test at the pole: begin, watch what the box sees of it, end; what came of it stays to be read.

import { make, setText } from "./element.js";
import { poll } from "./poll.js";
import { order, pressable } from "./setup_order.js";
import { say, sayCode } from "./words.js";

const EVERY_MS = 1000;
const panels = [];

/** The panel of the test `kind`; `cameraId` is "" where it is of no camera. */
export function testPanel(kind, cameraId = "") {
  const panel = new TestPanel(kind, cameraId);
  if (!panels.length) poll(() => "/setup/tests", EVERY_MS, ({ tests }) => panels.forEach((each) => each.follow(tests)));
  panels.push(panel);
  return panel.root;
}

class TestPanel {
  constructor(kind, cameraId) {
    Object.assign(this, { kind, cameraId, isRunning: false });
    this.verdict = make("span", { class: "pill dim", hidden: true });
    this.seen = make("p", { role: "status" });
    this.answer = make("div", { class: "answer" });
    this.button = make("button", { type: "button" }, say("test-begin"));
    this.button.addEventListener("click", pressable(this.button, this.answer, () => this.press()));
    this.root = make("li", { class: "panel", "data-site-test": kind },
      make("p", {}, make("b", {}, say(`test.${kind}`)), " ", this.verdict),
      make("p", { class: "dim" }, say(`test-do.${kind}`)), this.seen, this.answer, this.button);
  }

  async press() {
    const fields = { kind: this.kind, camera_id: this.cameraId };
    if (this.isRunning) {
      const result = await order("/setup/tests/end", fields);
      this.run(false);
      this.show(result);
      this.judge(result.is_passed ? "passed" : "failed", result.is_passed ? "good" : "bad");
    } else {
      await order("/setup/tests/begin", fields);
      setText(this.seen, "");
      this.run(true);
    }
  }

  run(isRunning) {
    this.isRunning = isRunning;
    setText(this.button, say(isRunning ? "test-end" : "test-begin"));
    if (isRunning) this.judge("running", "dim");
  }

  follow(tests) {
    const result = tests.find(({ kind, camera_id }) => kind === this.kind && camera_id === this.cameraId);
    if (!result || this.button.disabled) return;
    if (!this.isRunning) this.run(true); // begun before this page was opened
    this.show(result);
    if (result.is_passed) this.judge("passed", "good");
  }

  show({ detections, alarms, step, cause, lasted_s: lastedS }) {
    const kinds = alarms.map((kind) => sayCode("kind", kind)).join(", ");
    setText(this.seen, {
      walk: () => say("test-seen", { n: detections, alarms: alarms.length }) + (kinds ? `. ${say("test-alarms", { kinds })}` : ""),
      bell: () => say("test-presses", { n: alarms.length }),
      cable: () => say(`test-step.${step}`, { cause: sayCode("gap", cause), s: Math.round(lastedS ?? 0) }),
    }[this.kind]());
  }

  judge(word, tone) {
    this.verdict.hidden = false;
    this.verdict.className = `pill ${tone}`;
    this.verdict.dataset.verdict = word;
    setText(this.verdict, say(`test-${word}`));
  }
}
