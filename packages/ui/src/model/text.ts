/** Enum names as people write them: `POLICY_DENIED` to `Policy denied`. */
export function humanName(name: string): string {
  const words = name.toLowerCase().replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** `1 flow`, `12,345 flows`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Thousands apart. */
export function formatCount(count: number | bigint): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A rate for a label: three digits at most. */
export function formatRate(perSecond: number): string {
  if (perSecond === 0) return "0/s";
  if (perSecond < 0.95) return `${formatSmall(perSecond * 60)}/min`;
  if (perSecond < 999.5) return `${formatSmall(perSecond)}/s`;
  if (perSecond < 999_500) return `${formatSmall(perSecond / 1000)}k/s`;
  return `${formatSmall(perSecond / 1_000_000)}M/s`;
}

function formatSmall(value: number): string {
  return value < 9.95 ? String(Number(value.toFixed(1))) : String(Math.round(value));
}

/** 1.2 KiB. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** `12%`, `<1%`; empty for none. */
export function formatShare(part: number, whole: number): string {
  if (part === 0 || whole === 0) return "";
  const share = (part / whole) * 100;
  return share < 1 ? "<1%" : `${Math.round(share)}%`;
}

const twoDigits = (value: number): string => String(value).padStart(2, "0");

/** Local time of day with milliseconds. `time`: milliseconds since 1970. */
export function formatClock(time: number): string {
  const date = new Date(time);
  const ms = String(Math.floor(date.getMilliseconds())).padStart(3, "0");
  return `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}:${twoDigits(date.getSeconds())}.${ms}`;
}

/** Local date and time of day, to the second. */
export function formatMoment(time: number): string {
  const date = new Date(time);
  const day = `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
  return `${day} ${formatClock(time).slice(0, 8)}`;
}

/** `45 s`, `12 min`, `3 h`, `2 d`. `ms`: milliseconds. */
export function formatSpan(ms: number): string {
  if (ms < 90_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 5_400_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 129_600_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}
