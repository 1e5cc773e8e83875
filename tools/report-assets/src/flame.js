import { hierarchy, partition } from "d3-hierarchy";
import { data, bytes, share } from "./data.js";
import { byID, sized, paints, onWidth, showTip, hideTip, fitted, colour } from "./dom.js";
import { ofFrame } from "./colours.js";

const rowHeight = 19;
const kinds = ["", "Go", "C"];

// tree is made of nodes in the order of their depth-first walk: name, depth, bytes, kind.
function tree(f) {
  const path = [];
  for (let i = 0; i < f.nodes.length; i += 4) {
    const [name, depth, value, kind] = f.nodes.slice(i, i + 4);
    const node = { name: f.names[name], value, kind, own: value, children: [] };
    if (depth > 0) {
      path[depth - 1].children.push(node);
      path[depth - 1].own -= value;
    }
    path[depth] = node;
  }
  return path[0];
}

export function flame() {
  if (!data.flame) return;
  const canvas = byID("flame");
  const says = byID("flame-says");
  const found = byID("flame-found");
  const search = byID("flame-search");
  const root = partition()(
    hierarchy(tree(data.flame))
      .sum((d) => Math.max(0, d.own))
      .sort((a, b) => b.value - a.value),
  );
  const nodes = root.descendants();
  let zoomed = root;
  let chosen = root;
  let hovered = null;
  let matches = () => false;
  let width = 0;
  let drawn = [];

  const text = (n) => {
    const kind = kinds[n.data.kind];
    return (
      n.data.name +
      (kind ? ` (${kind})` : "") +
      `: ${bytes(n.value)}, ${share(n.value, root.value)} of all` +
      (zoomed !== root && n !== zoomed ? `, ${share(n.value, zoomed.value)} of what is shown` : "")
    );
  };

  function draw() {
    if (!width) return;
    const inZoom = zoomed.descendants();
    const deepest = inZoom.reduce((d, n) => Math.max(d, n.depth), 0);
    const c = sized(canvas, width, (deepest + 1) * rowHeight);
    c.font = "12px system-ui, sans-serif";
    c.textBaseline = "middle";
    const scale = width / (zoomed.x1 - zoomed.x0);
    drawn = [];
    for (const n of [...zoomed.ancestors().slice(1), ...inZoom]) {
      const x = Math.max(0, (n.x0 - zoomed.x0) * scale);
      const w = Math.min(width, (n.x1 - zoomed.x0) * scale) - x;
      if (w < 0.4) continue;
      const box = { n, x, w, y: n.depth * rowHeight };
      drawn.push(box);
      c.fillStyle = ofFrame(n.data.kind, matches(n));
      c.globalAlpha = n.depth < zoomed.depth ? 0.55 : 1;
      c.fillRect(x, box.y, Math.max(w - 0.7, 0.4), rowHeight - 1);
      if (n === hovered || n === chosen) {
        c.strokeStyle = colour("ink");
        c.lineWidth = n === chosen && document.activeElement === canvas ? 2 : 1;
        c.strokeRect(x + 1, box.y + 1, Math.max(w - 2.7, 1), rowHeight - 3);
      }
      if (w > 30) {
        c.fillStyle = colour("frame-ink");
        c.fillText(fitted(c, n.data.name, w - 8), x + 4, box.y + rowHeight / 2);
      }
    }
    c.globalAlpha = 1;
  }

  function choose(n) {
    chosen = n;
    says.textContent = text(n);
    draw();
  }
  function zoom(n) {
    zoomed = n;
    byID("flame-reset").disabled = n === root;
    choose(n);
  }
  const at = (e) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [e.clientX - box.left, e.clientY - box.top];
    return (
      drawn.find((d) => x >= d.x && x < d.x + d.w && y >= d.y && y < d.y + rowHeight)?.n || null
    );
  };

  canvas.addEventListener("mousemove", (e) => {
    const n = at(e);
    if (n)
      showTip(e, [
        n.data.name,
        text(n).slice(n.data.name.length).replace(/^: /, ""),
        "Click to zoom",
      ]);
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
  canvas.addEventListener("click", (e) => {
    const n = at(e);
    if (n) zoom(n);
  });
  canvas.addEventListener("focus", () => choose(chosen));
  canvas.addEventListener("blur", draw);
  canvas.addEventListener("keydown", (e) => {
    const beside = (by) => {
      const all = chosen.parent ? chosen.parent.children : [chosen];
      return all[all.indexOf(chosen) + by];
    };
    const moves = {
      ArrowDown: () => chosen.children && chosen.children[0],
      ArrowUp: () => chosen.parent,
      ArrowLeft: () => beside(-1),
      ArrowRight: () => beside(1),
      Home: () => root,
    };
    if (moves[e.key]) {
      const to = moves[e.key]();
      if (to) {
        if (!to.ancestors().includes(zoomed)) zoomed = to;
        choose(to);
      }
    } else if (e.key === "Enter") zoom(chosen);
    else if (e.key === "Escape") zoom(root);
    else if (e.key === "/") search.focus();
    else return;
    e.preventDefault();
  });

  function find() {
    const word = search.value.trim().toLowerCase();
    const hit = nodes.filter((n) => word && n.data.name.toLowerCase().includes(word));
    const set = new Set(hit);
    matches = (n) => set.has(n);
    // A frame within another that matches is counted once.
    const outer = hit.filter(
      (n) =>
        !n
          .ancestors()
          .slice(1)
          .some((a) => set.has(a)),
    );
    const sum = outer.reduce((s, n) => s + n.value, 0);
    found.textContent = !word
      ? ""
      : hit.length
        ? `${hit.length} ${hit.length === 1 ? "frame" : "frames"}, ${bytes(sum)}, ` +
          share(sum, root.value)
        : "no frame has that";
    draw();
    return outer.sort((a, b) => b.value - a.value)[0];
  }
  search.addEventListener("input", find);
  search.addEventListener("keydown", (e) => {
    if (e.key === "Enter") {
      const n = find();
      if (n) zoom(n);
    } else if (e.key === "Escape") {
      search.value = "";
      find();
    }
  });
  byID("flame-reset").addEventListener("click", () => zoom(root));
  onWidth(canvas.parentElement, (w) => {
    width = w;
    draw();
  });
  paints(() => choose(chosen));
}
