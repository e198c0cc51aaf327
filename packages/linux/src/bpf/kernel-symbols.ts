import { readFileSync } from "node:fs";

let symbols: Map<string, bigint> | undefined;

/** Address of a kernel symbol from /proc/kallsyms; null where there is none, or where addresses are hidden. */
export function kernelSymbolAddress(name: string): bigint | null {
  symbols ??= readSymbols(readFileSync("/proc/kallsyms", "utf8"));
  const address = symbols.get(name);
  return address === undefined || address === 0n ? null : address;
}

/** By name; of several with one name the first. */
export function readSymbols(text: string): Map<string, bigint> {
  const found = new Map<string, bigint>();
  for (const line of text.split("\n")) {
    const [address, , rest] = line.split(" ", 3);
    const name = rest?.split("\t", 1)[0];
    if (name && address && !found.has(name)) found.set(name, BigInt(`0x${address}`));
  }
  return found;
}
