import type { Timestamp } from "@bufbuild/protobuf/wkt";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

const two = (value: number): string => `${value}`.padStart(2, "0");

interface Parts {
  readonly date: Date;
  readonly nanos: string;
}

const ymd = ({ date }: Parts): string => date.toISOString().slice(0, 10);
const clock = ({ date }: Parts): string => date.toISOString().slice(11, 19);
const rfc3339 = (parts: Parts, digits: string): string =>
  `${ymd(parts)}T${clock(parts)}${digits === "" ? "" : `.${digits}`}Z`;

/** Formats of `--time-format`; all in UTC. */
const formats = {
  StampMilli: (p: Parts): string =>
    `${months[p.date.getUTCMonth()]} ${`${p.date.getUTCDate()}`.padStart(2)} ${clock(p)}.${p.nanos.slice(0, 3)}`,
  YearMonthDay: ymd,
  YearMonthDayHour: (p: Parts): string => `${ymd(p)} ${clock(p).slice(0, 2)}`,
  YearMonthDayHourMinute: (p: Parts): string => `${ymd(p)} ${clock(p).slice(0, 5)}`,
  RFC3339: (p: Parts): string => rfc3339(p, ""),
  RFC3339Milli: (p: Parts): string => rfc3339(p, p.nanos.slice(0, 3)),
  RFC3339Micro: (p: Parts): string => rfc3339(p, p.nanos.slice(0, 6)),
  // Go's RFC3339Nano leaves trailing zeros out.
  RFC3339Nano: (p: Parts): string => rfc3339(p, p.nanos.replace(/0+$/, "")),
  RFC1123Z: (p: Parts): string =>
    `${days[p.date.getUTCDay()]}, ${two(p.date.getUTCDate())} ${months[p.date.getUTCMonth()]} ${p.date.getUTCFullYear()} ${clock(p)} +0000`,
} as const;

export type TimeFormat = keyof typeof formats;

export const timeFormats = Object.keys(formats) as TimeFormat[];

export function formatTime(time: Timestamp | undefined, format: TimeFormat): string {
  if (!time) return "N/A";
  const parts = { date: new Date(Number(time.seconds) * 1000), nanos: `${time.nanos}`.padStart(9, "0") };
  return formats[format](parts);
}
