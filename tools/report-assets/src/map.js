import { hierarchy, treemap, treemapSquarify } from "d3-hierarchy";
import { data, bytes } from "./data.js";
import {
  byID,
  make,
  sized,
  paints,
  onWidth,
  showTip,
  hideTip,
  fitted,
  colour,
  pager,
} from "./dom.js";
import { ofOwner } from "./colours.js";

const hex = (low, high) =>
  (high ? high.toString(16) : "") + (high ? low.toString(16).padStart(8, "0") : low.toString(16));

export function map() {
  const m = data.map;
  if (!m) return;
  const canvas = byID("map");
  const says = byID("map-says");
  const range = (k) => {
    const end = k.low + k.size;
    return hex(k.low, k.high) + "-" + hex(end % 2 ** 32, k.high + Math.floor(end / 2 ** 32));
  };
  const owner = (k) => m.owners[k.owner];
  const resident = (k) => (k.rss === null ? "residency unknown" : bytes(k.rss) + " resident");
  const stack = (s, frames) =>
    `${s.what} ${s.frames.slice(0, frames).join(" ← ")}${s.frames.length > frames ? " ← …" : ""}`;
  // lines about a mapping; beside the pointer there is room for one stack and the start of another.
  const lines = (k, most = 3, frames = 99) => {
    const list = [
      `${owner(k).label}: ${bytes(k.size)}, ${resident(k)}`,
      `${range(k)} ${k.perms} ${m.files[k.file]}`,
    ];
    if (k.swap) list.push(bytes(k.swap) + " in swap");
    for (const s of k.stacks.slice(0, most)) list.push(stack(m.stacks[s], frames));
    return list;
  };
  let bySize = false;
  let width = 0;
  let leaves = [];
  let groups = [];
  let chosen = null;
  let hovered = null;

  const weight = (k) => (bySize || k.rss === null ? k.size : k.rss);

  function layout() {
    const height = Math.round(Math.min(460, Math.max(300, width * 0.5)));
    const tree = {
      children: m.owners.map((o, i) => ({
        owner: o,
        children: m.mappings.filter((k) => k.owner === i && weight(k) > 0),
      })),
    };
    const h = hierarchy(tree)
      .sum((d) => (d.children ? 0 : weight(d)))
      .sort((a, b) => b.value - a.value);
    treemap()
      .tile(treemapSquarify.ratio(1.4))
      .size([width, height])
      .paddingInner(1)
      .paddingTop((n) => (n.depth === 1 ? 17 : 0))
      .round(false)(h);
    groups = (h.children || []).filter((n) => n.value > 0);
    leaves = h.leaves().filter((n) => n.depth === 2);
    chosen = leaves.find((n) => chosen && n.data === chosen.data) || leaves[0] || null;
    return height;
  }

  function draw() {
    if (!width) return;
    const c = sized(canvas, width, layout());
    c.font = "12px system-ui, sans-serif";
    c.textBaseline = "middle";
    for (const n of leaves) {
      const [w, h] = [n.x1 - n.x0, n.y1 - n.y0];
      const part = n.data.rss === null ? 0 : Math.min(1, n.data.rss / n.data.size);
      c.fillStyle = ofOwner(owner(n.data).name, 0.3);
      c.fillRect(n.x0, n.y0, w, h);
      c.fillStyle = ofOwner(owner(n.data).name, 0.9);
      c.fillRect(n.x0, n.y1 - h * part, w, h * part);
    }
    for (const n of groups) {
      c.fillStyle = colour("ink");
      c.fillText(
        fitted(c, `${n.data.owner.label} ${bytes(n.value)}`, n.x1 - n.x0 - 6),
        n.x0 + 3,
        n.y0 + 9,
      );
    }
    for (const n of leaves) {
      if (n !== hovered && !(n === chosen && document.activeElement === canvas)) continue;
      c.strokeStyle = colour("ink");
      c.lineWidth = 2;
      c.strokeRect(n.x0 + 1, n.y0 + 1, Math.max(1, n.x1 - n.x0 - 2), Math.max(1, n.y1 - n.y0 - 2));
    }
  }

  function choose(n) {
    chosen = n;
    says.replaceChildren(...(n ? lines(n.data).map((l) => make("div", null, l)) : []));
    draw();
  }
  const at = (e) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [e.clientX - box.left, e.clientY - box.top];
    return leaves.find((n) => x >= n.x0 && x < n.x1 && y >= n.y0 && y < n.y1) || null;
  };
  canvas.addEventListener("mousemove", (e) => {
    const n = at(e);
    if (n) showTip(e, lines(n.data, 2, 7));
    else hideTip();
    if (n !== hovered) {
      hovered = n;
      draw();
    }
  });
  canvas.addEventListener("mouseleave", () => {
    hideTip();
    hovered = null;
    draw();
  });
  canvas.addEventListener("click", (e) => at(e) && choose(at(e)));
  canvas.addEventListener("focus", () => choose(chosen));
  canvas.addEventListener("blur", draw);
  canvas.addEventListener("keydown", (e) => {
    const i = leaves.indexOf(chosen);
    const to = {
      ArrowRight: i + 1,
      ArrowDown: i + 1,
      ArrowLeft: i - 1,
      ArrowUp: i - 1,
      Home: 0,
      End: leaves.length - 1,
    }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    if (leaves[to]) choose(leaves[to]);
  });
  for (const input of document.querySelectorAll("input[name=map-by]"))
    input.addEventListener("change", () => {
      bySize = byID("map-by-size").checked;
      draw();
    });

  let rows = m.mappings;
  const word = byID("map-filter");
  const row = (i) => {
    const k = rows[i];
    return [
      range(k),
      owner(k).label,
      { n: bytes(k.size) },
      { n: k.rss === null ? "unknown" : bytes(k.rss) },
      k.perms,
      m.files[k.file],
      k.stacks.map((s) => m.stacks[s].frames.join(" ← ")).join("; "),
    ];
  };
  const table = pager(
    ["Addresses", "Owner", { n: "Size" }, { n: "Resident" }, "Access", "File", "Who mapped it"],
    () => rows.length,
    row,
    "Mappings",
  );
  byID("map-table").append(table.element);
  word.addEventListener("input", () => {
    const w = word.value.trim().toLowerCase();
    rows = m.mappings.filter((k) => lines(k).join(" ").toLowerCase().includes(w));
    table.first();
  });
  byID("map-table").closest("details").addEventListener("toggle", table.draw, { once: true });
  onWidth(canvas.parentElement, (w) => {
    width = w;
    draw();
  });
  paints(draw);
}
