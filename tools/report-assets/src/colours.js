import { isDark } from "./dom.js";

// A hue, a saturation and a lightness by day: Go is blue, C is orange to red, as in the flame
// graph.
const owners = {
  go_heap: [211, 75, 50],
  go_stacks: [195, 70, 45],
  go_metadata: [222, 45, 68],
  c_live: [14, 80, 54],
  c_retained: [38, 85, 55],
  c_mmap: [342, 65, 52],
  c_brk: [355, 45, 40],
  file_copies: [300, 30, 55],
  device_maps: [320, 45, 62],
  thread_stacks: [54, 75, 45],
  program: [130, 25, 45],
  libraries: [110, 28, 60],
  mapped_files: [165, 40, 45],
  shared_memory: [270, 45, 60],
  shim: [250, 12, 60],
  kernel: [0, 0, 45],
  untracked_mmap: [0, 0, 62],
  unexplained: [0, 0, 75],
  c_allocator: [26, 82, 54],
  anonymous: [342, 40, 60],
};

const lines = [
  [211, 75, 48],
  [14, 80, 50],
  [130, 45, 40],
  [38, 90, 48],
  [270, 50, 58],
  [342, 65, 50],
  [180, 60, 38],
  [54, 75, 40],
];

function css([h, s, l], alpha) {
  return `hsl(${h} ${s}% ${isDark() ? Math.min(l + 6, 72) : l}% / ${alpha})`;
}
export function ofOwner(name, alpha = 1) {
  let hash = 0;
  for (const c of name) hash = (hash * 31 + c.charCodeAt(0)) % 360;
  return css(owners[name] || [hash, 35, 55], alpha);
}
export const ofLine = (i, alpha = 1) => css(lines[i % lines.length], alpha);

// Of a frame by what it is: 0 an owner or a root, 1 Go, 2 C.
export function ofFrame(kind, found) {
  if (found) return isDark() ? "#b5309a" : "#f3a0e3";
  return (isDark() ? ["#3c4248", "#1d5289", "#8a4a10"] : ["#dcdfe3", "#b9d7f5", "#ffcf8f"])[kind];
}
