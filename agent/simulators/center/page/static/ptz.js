// The pad under a camera that can move: it moves while a button is held, and stops on letting go.
// The first step leases the camera; each step lasts a second at most, so a lost "stop" can't leave
// the camera turning.

import { make, setText } from "/static/element.js";
import { millis, say, sayCode } from "/static/words.js";
import { step } from "./order.js";

const STEP_MS = 300;
const MOVES = {
  up: ["▲", { tilt: 0.5 }], left: ["◀", { pan: -0.5 }], right: ["▶", { pan: 0.5 }],
  down: ["▼", { tilt: -0.5 }], in: ["+", { zoom: 0.5 }], out: ["−", { zoom: -0.5 }],
};

/** Make the pad of one camera; `box()` says which box it hangs on. */
export function ptzPad(cameraId, box) {
  const note = make("p", { class: "dim", role: "status" }, say("ptz-hint"));
  const pad = new Pad(cameraId, box, (text) => setText(note, text));
  const buttons = Object.keys(MOVES).map((name) => pad.moveButton(name));
  return make("div", { class: "ptz", role: "group", "aria-label": say("ptz") },
    make("div", { class: "pad" }, ...buttons, pad.stopButton()), note);
}

class Pad {
  constructor(cameraId, box, say_) {
    Object.assign(this, { cameraId, box, tell: say_, timer: null, isSending: false, inFlight: Promise.resolve() });
  }

  moveButton(name) {
    const [sign, speeds] = MOVES[name];
    const begin = (event) => {
      if (event.repeat || (event.key && event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      if (event.pointerId !== undefined) event.currentTarget.setPointerCapture(event.pointerId);
      this.begin(speeds);
    };
    const end = () => this.end();
    return make("button", {
      type: "button", class: `move ${name}`, "data-move": name, "aria-label": say(`ptz.${name}`),
      onpointerdown: begin, onpointerup: end, onpointercancel: end, onlostpointercapture: end,
      onkeydown: begin, onkeyup: end, onblur: end, oncontextmenu: (event) => event.preventDefault(),
    }, sign);
  }

  stopButton() {
    return make("button", {
      type: "button", class: "move stop", "aria-label": say("ptz.stop"), onclick: () => this.stop(),
    }, "■");
  }

  begin(speeds) {
    if (this.timer !== null) return;
    const move = () => { if (!this.isSending) this.send(speeds); };
    move();
    this.timer = setInterval(move, STEP_MS);
  }

  end() {
    if (this.timer === null) return;
    this.stop();
  }

  async stop() {
    clearInterval(this.timer);
    this.timer = null;
    // The step must be ahead of the stop; but a box that doesn't answer must not delay it.
    await Promise.race([this.inFlight, new Promise((done) => { setTimeout(done, 500); })]);
    await this.send({});
  }

  send(speeds) {
    this.isSending = true;
    this.inFlight = step(this.box(), this.cameraId, speeds).then(({ lease }) => {
      if (lease) this.tell(leaseText(lease));
    }, (error) => this.tell(error.message)).finally(() => { this.isSending = false; });
    return this.inFlight;
  }
}

function leaseText(lease) {
  return `${sayCode("op", lease.op)}: ${sayCode("order", lease.state)}`
    + `${lease.first_ms === null ? "" : ` · ${say("round-trip", { ms: millis(lease.first_ms) })}`}`
    + `${lease.message ? ` · ${lease.message}` : ""}`;
}
