/**
 * @module
 * Makes what a test makes, prints what it made, and waits to be killed.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readObject } from "@skep/object";
import { LinuxBpf, openNet, openProcesses } from "../src/index.ts";
import { testFolder, testName } from "../src/net/testing.ts";

const load = (bpf: LinuxBpf, name: string, program: string) => {
  const spec = readObject(readFileSync(fileURLToPath(new URL(`../testdata/${name}.o`, import.meta.url))));
  const loaded = bpf.load(spec, { programs: [program] }).programs[program];
  if (!loaded) throw new Error(`no program ${program}`);
  return loaded;
};

const folder = testFolder("left");
const net = openNet({ run: folder });
const space = net.createNamespace("left");
const bpf = new LinuxBpf({ netns: space.path });
const pins = `${folder}/bpf`;
bpf.preparePins(pins);
const inside = bpf.attach(load(bpf, "tc", "see"), { hook: "tcx", interface: 1, direction: "ingress" });
inside.pin(`${pins}/tcx`);
const traced = bpf.attach(load(bpf, "tracing", "raw"), { hook: "raw_tracepoint", name: "sys_enter" });
traced.pin(`${pins}/traced`);
const cgroup = openProcesses().createCgroup(testName("left")).path;
const grouped = bpf.attach(load(bpf, "cgroup", "device"), { hook: "cgroup", path: cgroup });
grouped.pin(`${pins}/grouped`);
const links = [inside, traced, grouped].map(({ info }) => info.id);
console.log(JSON.stringify({ folder, cgroup, links, namespace: space.path }));
setInterval(() => undefined, 1000);
