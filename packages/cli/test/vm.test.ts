import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { assemble, encode } from "@skep/isa";
import { readCapture, writePcap } from "@skep/net";
import { skep } from "./in-process.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "skep-vm-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function packet(port: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint8(23, 6);
  view.setUint16(36, port);
  return bytes;
}

const input = join(folder, "in.pcap");
const packets = [80, 443, 80].map((port, i) => ({ timestamp: BigInt(i), data: packet(port), originalLength: 64 }));
writeFileSync(input, writePcap(packets));
const program = join(root, "examples/redirect-port-80/redirect.bpf.ts");

describe("vm run", () => {
  it("shows verdicts and maps, and writes what was not dropped", async () => {
    const out = join(folder, "out.pcap");
    for (const engine of ["interpreter", "checked", "fast"]) {
      const ran = await skep("vm", "run", program, "--pcap", input, "--out", out, "--engine", engine, "-o", "json");
      expect(ran.stderr).toBe("");
      const shown = JSON.parse(ran.stdout) as {
        packets: { verdict: string }[];
        maps: { name: string; entries: { key: string; value: string }[] }[];
      };
      expect(shown.packets.map(({ verdict }) => verdict)).toEqual(["REDIRECT", "SHOT", "REDIRECT"]);
      expect(shown.maps.find(({ name }) => name === "counts")?.entries).toEqual([
        { key: "00000000", value: "0200000000000000" },
        { key: "01000000", value: "0100000000000000" },
      ]);
      expect(readCapture(readFileSync(out)).packets.length).toBe(2);
    }
  });

  it("prints a table", async () => {
    const { stdout } = await skep("vm", "run", program, "--pcap", input);
    expect(stdout).toMatch(/^PACKET +VERDICT +LENGTH +LEFT AS +NOTE\n1 +REDIRECT +64 +redirect to 0\n2 +SHOT/);
    expect(stdout).toMatch(/^REDIRECT +2$/m);
    expect(stdout).toMatch(/^counts +\S+ +01000000 +0100000000000000$/m);
  });

  it("says what is wrong", async () => {
    expect((await skep("vm", "run", program, "--pcap", "/nonexistent")).status).toBe(2);
    const other = await skep("vm", "run", program, "--pcap", input, "--program", "other");
    expect(other).toMatchObject({ status: 2, stdout: "" });
    expect(other.stderr).toContain("has no program other; there are: port80");
  });
});

const bytes = (text: string): string => {
  const { instructions } = assemble(text);
  return Buffer.from(encode(instructions)).toString("hex").replace(/../g, "$& ").trim();
};

describe("vm plugin", () => {
  it("runs a program on memory and prints r0", async () => {
    const text = bytes("r0 = *(u8 *)(r1 + 1)\nr0 += r2\nexit");
    for (const engine of ["interpreter", "checked", "fast"]) {
      const { status, stdout } = await skep("vm", "plugin", "--program", text, "00 41 00", "--engine", engine);
      expect({ status, stdout }).toEqual({ status: 0, stdout: "44\n" });
    }
    const wrong = await skep("vm", "plugin", "--program", bytes("r0 = *(u8 *)(r1 + 3)\nexit"), "00 41 00", "--debug");
    expect(wrong.status).toBe(1);
    expect(wrong.stdout).toContain("read of 1 bytes");
  });
});
