// The page on the box: asks for the state each second and hands it to the parts of the page.

import { CameraCards } from "./camera_card.js";
import { setText } from "./element.js";
import { eventItems } from "./event_list.js";
import { healthDetails, healthTiles } from "./health.js";
import { TrafficLight } from "./light.js";
import { poll, restWhenAlone } from "./poll.js";
import { say } from "./words.js";

const part = (id) => document.getElementById(id);
const light = new TrafficLight(part("light"));
const cameras = new CameraCards(part("cameras"));
let state = null;
let shownEvents = "";

function showState(newState) {
  state = newState;
  document.body.classList.remove("lost");
  setText(part("where"), `${state.site} / ${state.box_id}${state.board.is_simulated ? ` · ${say("board-simulated")}` : ""}`);
  light.show(state);
  cameras.show(state);
  part("no-cameras").hidden = state.cameras.length > 0;
  part("tiles").replaceChildren(...healthTiles(state));
  if (part("details").open) part("details-body").replaceChildren(...healthDetails(state));
}

function showEvents({ events }) {
  const key = JSON.stringify([events, state?.cameras.map((camera) => camera.name)]);
  if (key === shownEvents) return;
  shownEvents = key;
  part("events").replaceChildren(...eventItems(events, state));
}

restWhenAlone();
poll(() => "/api/state", 1000, showState, () => {
  document.body.classList.add("lost");
  light.showLost();
});
poll(() => "/api/events?n=20", 2000, showEvents);
part("details").addEventListener("toggle", () => {
  if (state) part("details-body").replaceChildren(...healthDetails(state));
});
