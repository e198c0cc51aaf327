import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile } from "@skep/compiler";
import { Vm } from "./vm.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../../../examples/redirect-port-80");
const TC_SHOT = 2;
const TC_REDIRECT = 7;

function packet(options: { etherType?: number; protocol?: number; port?: number; length?: number }): Uint8Array {
  const bytes = new Uint8Array(Math.max(64, options.length ?? 64));
  const view = new DataView(bytes.buffer);
  view.setUint16(12, options.etherType ?? 0x0800);
  view.setUint8(14, 0x45);
  view.setUint8(23, options.protocol ?? 6);
  view.setUint16(36, options.port ?? 80);
  return bytes.slice(0, options.length ?? 64);
}

describe("the first tutorial's program in user space", () => {
  const { spec, diagnostics } = compile(join(folder, "redirect.bpf.ts"), {
    readFile: (file) => {
      try {
        return readFileSync(file, "utf8");
      } catch {
        return undefined;
      }
    },
  });

  it("redirects port 80, drops the rest, and counts both", () => {
    expect(diagnostics).toEqual([]);
    if (!spec) throw new Error("no object");
    const vm = new Vm({ clock: () => 0n, random: () => 4, cpus: 2, cpu: 1 });
    const { programs, maps } = vm.load(spec, { config: { workload: 7 } });
    const program = programs["port80"];
    if (!program) throw new Error("no program");
    const verdict = (data: Uint8Array) => vm.run(program, { packet: data });
    const redirected = verdict(packet({}));
    expect(redirected.returned).toBe(TC_REDIRECT);
    expect(redirected.redirect).toEqual({ helper: "redirect", target: 7, flags: 0n });
    expect(verdict(packet({ port: 443 })).returned).toBe(TC_SHOT);
    expect(verdict(packet({ protocol: 17 })).returned).toBe(TC_SHOT);
    expect(verdict(packet({ etherType: 0x86dd })).returned).toBe(TC_SHOT);
    expect(verdict(packet({ length: 40 })).returned).toBe(TC_SHOT);
    const counts = (index: number) => {
      const value = maps["counts"]?.get(new Uint8Array(Uint32Array.of(index).buffer));
      return value ? [...new BigUint64Array(value.buffer)] : null;
    };
    expect(counts(0)).toEqual([0n, 1n]);
    expect(counts(1)).toEqual([0n, 4n]);
  });
});
