import { readFileSync } from "node:fs";

let symbols: string | undefined;

/** Address of a kernel symbol from /proc/kallsyms; null where there is none, or where addresses are hidden. */
export function kernelSymbolAddress(name: string): bigint | null {
  symbols ??= readFileSync("/proc/kallsyms", "utf8");
  const address = addressOf(name, symbols);
  return address === null || address === 0n ? null : address;
}

/** Of several symbols with one name the first. The whole is searched: some milliseconds, where a table of all names takes a hundred times that. */
export function addressOf(name: string, text: string): bigint | null {
  const places = [text.indexOf(` ${name}\n`), text.indexOf(` ${name}\t`)].filter((at) => at >= 0);
  if (places.length === 0) return null;
  const start = text.lastIndexOf("\n", Math.min(...places)) + 1;
  return BigInt(`0x${text.slice(start, text.indexOf(" ", start))}`);
}

/** Names of the symbols that begin at these addresses. Those of other addresses, or where addresses are hidden, are left out. */
export function kernelSymbolsAt(addresses: Iterable<bigint>): Map<bigint, string> {
  // Read anew: programs have symbols, too, and come and go.
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
