// Elements.  Text of the process goes into text nodes and nowhere else.

export function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "class") e.className = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

export const byID = (id) => document.getElementById(id);

const dark = matchMedia("(prefers-color-scheme: dark)");
export const isDark = () => dark.matches;
const painters = [];
// paints calls draw now, and again when the colours change.
export function paints(draw) {
  painters.push(draw);
  draw();
}
dark.addEventListener("change", () => painters.forEach((draw) => draw()));

export const colour = (name) =>
  getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();

// onWidth calls back with the element's width whenever it changes.
export function onWidth(element, callback) {
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.floor(element.clientWidth);
    if (width > 0 && width !== last) callback((last = width));
  }).observe(element);
}

// A canvas in the screen's own pixels.
export function sized(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

const tip = make("div", { class: "tip", hidden: true, "aria-hidden": "true" });
document.body.append(tip);

// showTip beside the pointer; lines are texts, the first one strong.
export function showTip(event, lines) {
  tip.replaceChildren(...lines.map((line, i) => make(i ? "div" : "strong", null, line)));
  tip.hidden = false;
  const { offsetWidth: w, offsetHeight: h } = tip;
  const x = event.clientX + 14 + w > innerWidth ? event.clientX - w - 10 : event.clientX + 14;
  const y = event.clientY + 14 + h > innerHeight ? event.clientY - h - 10 : event.clientY + 14;
  tip.style.left = Math.max(4, x) + "px";
  tip.style.top = Math.max(4, y) + "px";
}
export const hideTip = () => (tip.hidden = true);

// fitted cuts text to what has room in width.
export function fitted(context, text, width) {
  const whole = context.measureText(text).width;
  if (whole <= width) return text;
  const room = Math.floor((text.length * width) / whole);
  return room < 4 ? "" : text.slice(0, room - 2) + "…";
}

// pager is a table that shows a page of rows at a time.
export function pager(heads, count, row, label) {
  const size = 50;
  let page = 0;
  const body = make("tbody");
  const where = make("span", { role: "status" });
  const turn = (by) => () => {
    page = Math.min(Math.max(0, page + by), Math.max(0, Math.ceil(count() / size) - 1));
    draw();
  };
  const back = make("button", { type: "button", onclick: turn(-1) }, "Earlier rows");
  const on = make("button", { type: "button", onclick: turn(1) }, "Later rows");
  function draw() {
    const from = page * size;
    const to = Math.min(count(), from + size);
    const cell = (c) => make("td", { class: c.n ? "n" : "" }, c.n || c);
    body.replaceChildren();
    for (let i = from; i < to; i++) body.append(make("tr", null, ...row(i).map(cell)));
    where.textContent = count() ? `${from + 1} to ${to} of ${count()}` : "no rows";
    back.disabled = page === 0;
    on.disabled = to >= count();
  }
  const head = (h) => make("th", { scope: "col", class: h.n ? "n" : "" }, h.n || h);
  const table = make(
    "table",
    null,
    make("thead", null, make("tr", null, ...heads.map(head))),
    body,
  );
  const element = make(
    "div",
    null,
    make("div", { class: "bar" }, back, on, where),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table),
  );
  return { element, draw, first: () => ((page = 0), draw()) };
}
