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

/** Names of the symbols that begin at these addresses. Those of other addresses, or where addresses are hidden, are left out. */
export function kernelSymbolsAt(addresses: Iterable<bigint>): Map<bigint, string> {
  return symbolsAt(addresses, readFileSync("/proc/kallsyms", "utf8"));
}

/** As `kernelSymbolsAt`, in the text of /proc/kallsyms; of several symbols at one address the first. */
export function symbolsAt(addresses: Iterable<bigint>, text: string): Map<bigint, string> {
  const found = new Map<bigint, string>();
  for (const address of addresses) {
    const line = address === 0n ? -1 : startOfLine(text, address.toString(16).padStart(16, "0"));
    if (line < 0) continue;
    const end = text.indexOf("\n", line);
    const [, , rest = ""] = text.slice(line, end < 0 ? undefined : end).split(" ", 3);
    found.set(address, rest.split("\t", 1)[0] ?? "");
  }
  return found;
}

function startOfLine(text: string, address: string): number {
  if (text.startsWith(`${address} `)) return 0;
  const before = text.indexOf(`\n${address} `);
  return before < 0 ? -1 : before + 1;
}
