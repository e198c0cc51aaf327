import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile } from "@skep/compiler";
import { openLinux } from "@skep/linux";

const folder = dirname(fileURLToPath(import.meta.url));
const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: loading the tutorial's program needs root and BPF");

const TC_SHOT = 2;
const TC_REDIRECT = 7;

/** Ethernet, IPv4 and TCP of the least size. */
function packet(options: { etherType?: number; protocol?: number; port?: number; length?: number }): Uint8Array {
  const bytes = new Uint8Array(options.length ?? 64);
  const view = new DataView(bytes.buffer);
  const put = (offset: number, value: number, size: 1 | 2): void => {
    if (offset + size > bytes.length) return;
    if (size === 1) view.setUint8(offset, value);
    else view.setUint16(offset, value);
  };
  put(12, options.etherType ?? 0x0800, 2);
  put(14, 0x45, 1);
  put(23, options.protocol ?? 6, 1);
  put(36, options.port ?? 80, 2);
  return bytes;
}

describe("the first tutorial's program", () => {
  const path = join(folder, "redirect.bpf.ts");
  const { spec, diagnostics } = compile(path, {
    readFile: (file) => {
      try {
        return readFileSync(file, "utf8");
      } catch {
        return undefined;
      }
    },
  });

  it("compiles without a diagnostic", () => {
    expect(diagnostics).toEqual([]);
    expect(Object.keys(spec?.programs ?? {})).toEqual(["port80"]);
  });

  it.skipIf(!privileged)("redirects port 80, drops the rest, and counts both", () => {
    if (!spec) throw new Error("no object");
    const machine = openLinux();
    const loaded = machine.bpf.load(spec, { config: { workload: 1 } });
    try {
      const program = loaded.programs["port80"];
      const counts = loaded.maps["counts"];
      if (!program || !counts) throw new Error("the object lacks its program or map");
      const verdict = (data: Uint8Array): number => program.test({ data }).returned;
      expect(verdict(packet({}))).toBe(TC_REDIRECT);
      expect(verdict(packet({ port: 443 }))).toBe(TC_SHOT);
      expect(verdict(packet({ protocol: 17 }))).toBe(TC_SHOT);
      expect(verdict(packet({ etherType: 0x86dd }))).toBe(TC_SHOT);
      expect(verdict(packet({ length: 40 }))).toBe(TC_SHOT);
      const total = (index: number): bigint => {
        const value = counts.get(new Uint8Array(Uint32Array.of(index).buffer));
        if (!value) throw new Error(`no counter ${index}`);
        return new BigUint64Array(value.slice().buffer).reduce((sum, each) => sum + each, 0n);
      };
      expect(total(0)).toBe(1n);
      expect(total(1)).toBe(4n);
    } finally {
      loaded.close();
    }
  });
});
