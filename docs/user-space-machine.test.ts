import { existsSync, readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { compile } from "@skep/compiler";
import { readObject, writeObject } from "@skep/object";
import { Vm } from "@skep/vm";

const text = readFileSync(new URL("./user-space-machine.md", import.meta.url), "utf8");
const example = new URL("../examples/redirect-port-80/redirect.bpf.ts", import.meta.url).pathname;

test("the example runs as it stands", () => {
  const { spec } = compile(example, {
    readFile: (path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined),
  });
  if (!spec) throw new Error("the example does not compile");
  const [, block = ""] = /^```ts\n([\s\S]*?)^```$/m.exec(text) ?? [];
  const frame = new Uint8Array(64);
  frame.set([0x08, 0, 0x45], 12);
  frame.set([6], 23);
  frame.set([0, 80], 36);
  const lines = block.split("\n").filter((line) => !line.startsWith("import"));
  const read = (name: string): Uint8Array => (name === "redirect.o" ? writeObject(spec) : new Uint8Array(0));
  const known = { readFileSync: read, readObject, Vm, frame, key: new Uint8Array(4) };
  const result: unknown = runInNewContext(
    `(() => {${lines.join("\n")}\nreturn [returned, redirect.target];})()`,
    known,
  );
  expect(String(result)).toBe("7,7");
});

test("the commands are those of the example", () => {
  expect(text).toContain("skep vm run examples/redirect-port-80/redirect.bpf.ts --pcap in.pcap --out out.pcap");
  expect(existsSync(example)).toBe(true);
});
