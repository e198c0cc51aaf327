/**
 * @module
 * Runs in a user namespace of its own: opens a BPF file system, waits until the parent has delegated commands to it, and uses BPF with a
 * token of it. Prints what happened.
 */
import { readSync } from "node:fs";
import { exit, mov64, r0 } from "@skep/isa";
import { LinuxBpf } from "../src/bpf/index.ts";
import { bytes, mapSpec, number, objectSpec } from "../src/bpf/testing.ts";
import { FileSystemContext } from "../src/sys/index.ts";

const bpf = new LinuxBpf();
const context = new FileSystemContext("bpf");
console.log(JSON.stringify({ pid: process.pid, fd: context.descriptor.fd }));
readSync(0, new Uint8Array(8));

function nameOfError(run: () => void): string {
  try {
    run();
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
  return "none";
}

const mount = context.mount();
const without = nameOfError(() => bpf.createMap(mapSpec("refused", "hash")).close());
const token = bpf.createToken(`/proc/self/fd/${mount.fd}`);
const map = bpf.createMap(mapSpec("delegated", "hash"), { token });
map.set(bytes(1, 4), bytes(5, 8));
const collection = bpf.load(objectSpec([{ name: "small", type: "xdp", code: [mov64(r0, 2), exit()] }]), { token });
const result = {
  without,
  map: map.info.type,
  value: Number(number(map.get(bytes(1, 4)))),
  returned: collection.programs["small"]!.test({ data: new Uint8Array(64) }).returned,
};
console.log(JSON.stringify(result));
