import { usageError } from "./errors.ts";

/** `key=value`, several after commas too; a key alone has the value "". */
export function parseLabels(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts.flatMap((each) => each.split(","))) {
    const [, key = "", value = ""] = /^([^=]+)(?:=(.*))?$/.exec(text) ?? [];
    if (key === "") throw usageError(`"${text}" is not a label: write it as key=value`);
    labels[key] = value;
  }
  return labels;
}

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** `http=80`, `dns=53/udp`. */
export function parseNamedPort(text: string): { name: string; port: number; protocol: number } {
  const [, name = "", number = "", kind = "tcp"] = /^([^=]+)=(\d{1,5})(?:\/(\w+))?$/.exec(text) ?? [];
  const protocol = PROTOCOLS[kind.toLowerCase()];
  if (name === "" || protocol === undefined)
    throw usageError(`"${text}" is no named port: write it as http=80 or dns=53/udp`);
  return { name, port: Number(number), protocol };
}
