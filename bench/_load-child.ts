// FILE FURTHER LARGEST: loads the object, then FURTHER times more, with maps of at most LARGEST entries (0: as they are). Prints what
// bench/twins/load.c prints.
import { readFileSync } from "node:fs";
import { openLinux } from "@skep/linux";
import { readObject } from "@skep/object";

const [file = "", further = "0", largest = "0"] = process.argv.slice(2);
const machine = openLinux();

/** Milliseconds until it is loaded. Opens the file anew each time. */
function load(): number {
  const started = performance.now();
  const spec = readObject(readFileSync(file));
  const large = Object.values(spec.maps).filter(
    (map) => map.type !== "ringbuf" && Number(largest) > 0 && map.maxEntries > Number(largest),
  );
  const maxEntries = Object.fromEntries(large.map(({ name }) => [name, Number(largest)]));
  const collection = machine.bpf.load(spec, { maxEntries });
  const took = performance.now() - started;
  if (Object.keys(collection.programs).length === 0) throw new Error(`${file} holds no program`);
  collection.close();
  return took;
}

const first = load();
const loadedAt = performance.timeOrigin + performance.now();
const lines = [`loaded at\t${loadedAt}`, `first\t${first}`];
for (let at = 0; at < Number(further); at++) lines.push(`further ${at}\t${load()}`);
const resident = /^VmHWM:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
lines.push(`resident\t${Number(resident) / 1024}`);
process.stdout.write(`${lines.join("\n")}\n`);
