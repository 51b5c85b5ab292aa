// Numbers as people read them, always with their unit. "–" stands where there is nothing to tell.

export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

/** A count, with a comma at every thousand. */
export const count = (number) => whole.format(number);

/** A count and its noun. */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A rate without its unit: whole from 10 on, else with one decimal. */
export function rate(number) {
  if (number === null || number === undefined) return NONE;
  return number >= 10 || number === 0 ? whole.format(number) : tenths.format(number);
}

/** A rate as short as possible, for pictures: 1,234 or 12.3k. */
export function shortRate(number) {
  if (number >= 1e6) return `${precise.format(number / 1e6)}M`;
  if (number >= 10_000) return `${precise.format(number / 1e3)}k`;
  return rate(number);
}

/** A time of some microseconds to some minutes, as [number, unit]. */
export function timeParts(seconds) {
  if (seconds === null || seconds === undefined) return [NONE, ""];
  if (seconds < 1e-3) return [precise.format(seconds * 1e6), "µs"];
  if (seconds < 1) return [precise.format(seconds * 1e3), "ms"];
  return [precise.format(seconds), "s"];
}

export const time = (seconds) => timeParts(seconds).join(" ").trim();

/** How long something has lasted, in its two largest units. */
export function duration(seconds) {
  const total = Math.floor(seconds);
  const parts = [
    [Math.floor(total / 86400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([number]) => number > 0);
  if (first < 0) return "0 s";
  const told = parts.slice(first, first + 2).filter(([number], place) => place === 0 || number > 0);
  return told.map(([number, unit]) => `${number} ${unit}`).join(" ");
}

/** Octets, in powers of 1,000. */
export function octets(number) {
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (number >= size) return `${precise.format(number / size)} ${unit}`;
  }
  return `${whole.format(number)} B`;
}

/** A part of one, as percent. */
export const percent = (part) => `${whole.format(part * 100)} %`;

/** A text of at most so many characters. */
export const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
