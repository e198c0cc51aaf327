import { usageError } from "../errors.ts";

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `1h30m`, `250ms` in milliseconds; null where it is no duration. */
export function parseDuration(text: string): number | null {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount = "0", unit = "s"] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * (units[unit] ?? 0);
  }
  return total;
}

export function durationOption(text: string): number {
  const parsed = parseDuration(text);
  if (parsed === null) throw usageError(`"${text}" is not a duration, such as 500ms, 10s or 1h30m`);
  return parsed;
}

const sizes: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 1024,
  MIB: 1 << 20,
  GIB: 1 << 30,
};

/** `500MB`, `1GiB`, `1000000` in bytes. */
export function bytesOption(text: string): number {
  const [, amount, unit = "B"] = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?$/i.exec(text) ?? [];
  const size = sizes[unit.toUpperCase()];
  if (amount === undefined || size === undefined) throw usageError(`"${text}" is not a size, such as 500MB or 10GiB`);
  return Math.round(Number(amount) * size);
}

/** A moment as milliseconds since 1970: a duration ago, a date, a date and time, or seconds since 1970. */
export function timeOption(text: string, now: number): number {
  const ago = parseDuration(text);
  if (ago !== null) return now - ago;
  if (/^\d{9,10}$/.test(text)) return Number(text) * 1000;
  const spaced = text.replace(/^(\d{4}-\d{2}-\d{2}) /, "$1T");
  const hour = /^\d{4}-\d{2}-\d{2}T\d{2}$/.test(spaced) ? `${spaced}:00` : spaced;
  const zoned = /T.*(Z|[+-]\d{2}:?\d{2})$/.test(hour) || !hour.includes("T") ? hour : `${hour}Z`;
  const parsed = Date.parse(zoned);
  if (Number.isNaN(parsed)) {
    throw usageError(`"${text}" is not a time: write a duration (5m) or a time (2026-03-02T01:01:07Z)`);
  }
  return parsed;
}

/** `3m 20s`: the two largest units. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(" ");
}
