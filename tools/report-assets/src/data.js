// The page's data, as the command wrote it: cli/internal/report/page.go.

const text = document.getElementById("data").textContent;
export const data = JSON.parse(text);

// Columns are differences, in units of their scale; null is a gap.
function unpack(deltas, scale) {
  let at = 0;
  return deltas.map((d) => (d === null ? null : (at += d) * scale));
}

if (data.series) {
  data.series.t = unpack(data.series.t, 1e-3).map((s) => data.start / 1000 + s);
  for (const c of data.series.columns) {
    c.values = unpack(c.deltas, c.scale);
    delete c.deltas;
  }
}

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let at = 0;
  while (Math.abs(n) >= 1024 && at < units.length - 1) {
    n /= 1024;
    at++;
  }
  return n.toFixed(at === 0 ? 0 : 1) + " " + units[at];
}

export function figure(n, unit) {
  if (n === null || n === undefined) return "unknown";
  switch (unit) {
    case "bytes":
      return bytes(n);
    case "percent":
      return n.toFixed(1) + " %";
    case "ratio":
      return (100 * n).toFixed(1) + " %";
    case "ns":
      return n >= 1e9 ? (n / 1e9).toFixed(2) + " s" : (n / 1e6).toFixed(1) + " ms";
  }
  return Number.isInteger(n) ? n.toLocaleString("en") : String(+n.toPrecision(6));
}

export const share = (n, of) => (of > 0 ? ((100 * n) / of).toFixed(1) + " %" : "");

// All times are in UTC: the readers of one page sit in several zones.
export function clock(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
}
