// The page on the box, which rests when nobody touches it.

import "./box_cards.js";
import { restWhenAlone } from "./poll.js";

restWhenAlone();
