// Pictures and strips live inside the cards that the box itself writes.

import { livePicture } from "./live_picture.js";
import { timelineStrip } from "./timeline.js";

/** An element `<name data-id=CAMERA>` that lives as long as it is on the page; `make` as livePicture. */
function define(name, make) {
  customElements.define(name, class extends HTMLElement {
    connectedCallback() {
      const base = this.closest("[data-base]")?.dataset.base ?? "";
      this.view = make(base, this.dataset);
      this.replaceChildren(this.view.root);
    }

    disconnectedCallback() { this.view.stop(); }
  });
}

define("live-picture", livePicture);
define("time-strip", timelineStrip);
