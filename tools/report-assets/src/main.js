import { charts } from "./charts.js";
import { flame } from "./flame.js";
import { map } from "./map.js";

document.documentElement.classList.add("drawn");
charts();
flame();
map();
