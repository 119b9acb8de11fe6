// Colours that stand out from both grounds by 3:1, the most different ones first.

export const PALETTE = [
  "#3f76d9", "#d86f2b", "#2f9158", "#cf4468", "#8a60cf", "#1790a6", "#a67c00", "#bb4fa8",
  "#5f8c1a", "#c2524a", "#5b7c93", "#8a6a54", "#2a8a7d", "#7a74c9", "#b56a1f", "#6f7f26",
];
export const UNKNOWN = "#858f96";

export const colourOf = (place) => (place == null || place < 0 ? UNKNOWN : PALETTE[place % PALETTE.length]);

const LOW = [200, 84, 60], MIDDLE = [190, 150, 40], HIGH = [40, 128, 150];

// From unsure (0) to sure (1).
export function ramp(share) {
  const [from, to, part] = share < 0.5 ? [LOW, MIDDLE, share * 2] : [MIDDLE, HIGH, share * 2 - 1];
  return from.map((value, place) => Math.round(value + part * (to[place] - value)));
}

export const rgb = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
export const rampStyle = `linear-gradient(90deg, rgb(${LOW}), rgb(${MIDDLE}), rgb(${HIGH}))`;
