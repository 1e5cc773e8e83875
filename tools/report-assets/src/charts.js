import uPlot from "uplot";
import { data, figure, clock } from "./data.js";
import { make, byID, colour, paints, onWidth, pager } from "./dom.js";
import { ofOwner, ofLine } from "./colours.js";

const sync = uPlot.sync("time");
const height = () => (innerWidth < 600 ? 220 : 280);

// What happened, as lines over a chart; collections are ticks at its foot.
const looks = {
  alert: ["alert", []],
  interval: ["interval", [6, 3]],
  restart: ["faint", [2, 2]],
  gap: ["faint", [2, 2]],
  note: ["faint", [1, 3]],
};

function drawMarks(u) {
  const { left, top, width, height } = u.bbox;
  const c = u.ctx;
  c.save();
  c.lineWidth = devicePixelRatio || 1;
  for (const m of data.series.marks) {
    const x = Math.round(u.valToPos(data.start / 1000 + m.t / 1000, "x", true)) + 0.5;
    if (x < left || x > left + width) continue;
    const [name, dash] = looks[m.kind] || looks.note;
    c.strokeStyle = colour(m.kind === "gc" ? "gc" : name);
    c.setLineDash(m.kind === "gc" ? [] : dash.map((d) => d * c.lineWidth));
    c.beginPath();
    c.moveTo(x, m.kind === "gc" ? top + height - 7 * c.lineWidth : top);
    c.lineTo(x, top + height);
    c.stroke();
    if (m.kind === "alert") {
      c.fillStyle = c.strokeStyle;
      c.beginPath();
      c.moveTo(x - 5 * c.lineWidth, top);
      c.lineTo(x + 5 * c.lineWidth, top);
      c.lineTo(x, top + 8 * c.lineWidth);
      c.fill();
    }
  }
  c.restore();
}

const nearMarks = (u, left) =>
  data.series.marks.filter(
    (m) => m.kind !== "gc" && Math.abs(u.valToPos(data.start / 1000 + m.t / 1000, "x") - left) < 6,
  );

// times of ticks: the day only where it changes.
function times(_, ticks, axis, space, step) {
  let day = "";
  return ticks.map((t) => {
    const [date, time] = clock(t).split(" ");
    const text = step < 60 ? time : time.slice(0, 5);
    if (date === day) return text;
    day = date;
    return text + "\n" + date;
  });
}

function axes(unit) {
  const grid = { stroke: colour("grid"), width: 1 };
  const common = { stroke: colour("ink"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
  const steps = [];
  for (let p = 0; p < 50; p++) steps.push(2 ** p);
  return [
    { ...common, space: 80, values: times },
    {
      ...common,
      size: 72,
      ...(unit === "bytes" ? { incrs: steps } : {}),
      values: (_, ticks) => ticks.map((t) => figure(t, unit).replace(".0 ", " ")),
    },
  ];
}

function stacked(columns, shown) {
  const n = data.series.t.length;
  const sums = new Array(n).fill(0);
  return columns.map((c, k) => {
    for (let i = 0; i < n; i++) {
      if (columns.every((o) => o.values[i] === null)) sums[i] = null;
      else if (shown[k]) sums[i] += c.values[i] || 0;
    }
    return sums.slice();
  });
}

// chart draws one panel: columns of one unit, stacked or as lines.
function chart(panel) {
  const { columns, unit } = panel;
  const shown = columns.map(() => true);
  const paint = (k, alpha) => (panel.stacked ? ofOwner(columns[k].name, alpha) : ofLine(k, alpha));
  const place = make("div", {
    class: "plot",
    tabindex: "0",
    role: "application",
    "aria-roledescription": "chart",
    "aria-label":
      `${panel.title}. Arrow keys move along the time, plus and minus zoom, ` +
      "Escape shows all. The figures are also in the table at the end of the page.",
  });
  const says = make("p", { class: "readout", "aria-live": "polite" });
  const values = columns.map(() => make("span", { class: "value" }));
  const swatches = columns.map(() => make("i", { class: "swatch" }));
  const keys = columns.map((c, k) =>
    make(
      "button",
      { type: "button", class: "key", "aria-pressed": "true", onclick: () => toggle(k) },
      swatches[k],
      c.label,
      values[k],
    ),
  );
  let u = null;

  const points = () => [
    data.series.t,
    ...(panel.stacked ? stacked(columns, shown) : columns.map((c) => c.values)),
  ];

  function toggle(k) {
    shown[k] = !shown[k];
    keys[k].setAttribute("aria-pressed", String(shown[k]));
    u.setSeries(k + 1, { show: shown[k] });
    if (panel.stacked) u.setData(points(), false);
    u.redraw();
  }

  function read() {
    const at = u.cursor.idx ?? data.series.t.length - 1;
    columns.forEach((c, k) => (values[k].textContent = figure(c.values[at], unit)));
    const sum = columns.reduce((s, c, k) => s + (shown[k] ? c.values[at] || 0 : 0), 0);
    let text = clock(data.series.t[at]) + " UTC";
    if (panel.stacked) text += ": " + figure(sum, unit) + " in all";
    if (u.cursor.left >= 0) for (const m of nearMarks(u, u.cursor.left)) text += ` — ${m.text}`;
    says.textContent = text;
  }

  function build() {
    const width = place.clientWidth || 600;
    u?.destroy();
    const series = [{}];
    columns.forEach((c, k) =>
      series.push({
        label: c.label,
        show: shown[k],
        stroke: paint(k),
        width: panel.stacked ? 1 : 1.5,
        fill: panel.stacked ? paint(k, 0.75) : undefined,
        points: { show: data.series.t.length < 3 },
      }),
    );
    u = new uPlot(
      {
        width,
        height: height(),
        series,
        axes: axes(unit),
        legend: { show: false },
        tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
        scales: {
          y: {
            range: (_, low, high) => [
              panel.stacked ? 0 : Math.min(0, low ?? 0),
              (high || 1) * 1.05,
            ],
          },
        },
        bands: panel.stacked
          ? columns.slice(1).map((_, k) => ({ series: [k + 2, k + 1], fill: paint(k + 1, 0.75) }))
          : undefined,
        cursor: { sync: { key: sync.key, setSeries: false }, y: false },
        hooks: { draw: [drawMarks], setCursor: [(self) => u && self === u && read()] },
      },
      points(),
      place,
    );
    swatches.forEach((s, k) => (s.style.background = paint(k)));
    read();
  }

  function zoom(by) {
    const { min, max } = u.scales.x;
    const at = data.series.t[u.cursor.idx ?? Math.floor(data.series.t.length / 2)];
    const half = ((max - min) / 2) * by;
    const all = data.series.t;
    u.setScale("x", {
      min: Math.max(all[0], at - half),
      max: Math.min(all[all.length - 1], at + half),
    });
  }
  const whole = () =>
    u.setScale("x", { min: data.series.t[0], max: data.series.t[data.series.t.length - 1] });

  place.addEventListener("keydown", (e) => {
    const last = data.series.t.length - 1;
    const at = u.cursor.idx ?? last;
    const step = Math.max(1, Math.round(last / 100));
    const to = { ArrowLeft: at - step, ArrowRight: at + step, Home: 0, End: last }[e.key];
    if (to !== undefined) {
      const i = Math.min(Math.max(0, to), last);
      u.setCursor({ left: u.valToPos(data.series.t[i], "x"), top: 10 });
    } else if (e.key === "+" || e.key === "=") zoom(0.5);
    else if (e.key === "-") zoom(2);
    else if (e.key === "Escape") whole();
    else return;
    e.preventDefault();
  });
  const id = "panel-" + panel.id;
  const figureElement = make(
    "section",
    { class: "panel", "aria-labelledby": id },
    make("h3", { id }, panel.title),
    panel.note ? make("p", { class: "hint" }, panel.note) : null,
    place,
    says,
    make("div", { class: "keys", role: "group", "aria-label": "Show or hide" }, ...keys),
  );
  byID("charts").append(figureElement);
  paints(build);
  onWidth(place, (width) => u.setSize({ width, height: height() }));
}

export function charts() {
  const s = data.series;
  if (!s) return;
  s.panels.forEach((p, i) =>
    chart({
      ...p,
      id: i,
      columns: p.columns.map((k) => s.columns[k]),
      unit: s.columns[p.columns[0]].unit,
    }),
  );
  const heads = ["Time (UTC)", ...s.columns.map((c) => ({ n: c.label }))];
  const row = (i) => [clock(s.t[i]), ...s.columns.map((c) => ({ n: figure(c.values[i], c.unit) }))];
  const table = pager(heads, () => s.t.length, row, "Figures");
  const save = make("button", { type: "button", onclick: saveCSV }, "Save as CSV");
  byID("raw").append(make("div", { class: "bar" }, save), table.element);
  byID("raw").closest("details").addEventListener("toggle", table.draw, { once: true });
}

// A spreadsheet takes a cell that begins with one of these for a formula.
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
  return '"' + safe.replaceAll('"', '""') + '"';
}

function saveCSV() {
  const s = data.series;
  const lines = [["time_utc", ...s.columns.map((c) => c.name)].map(cell).join(",")];
  s.t.forEach((t, i) =>
    lines.push(
      [new Date(t * 1000).toISOString(), ...s.columns.map((c) => c.values[i] ?? "")].join(","),
    ),
  );
  const url = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  make("a", { href: url, download: "cgoheap-figures.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
