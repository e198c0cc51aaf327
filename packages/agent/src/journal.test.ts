// What is on disk when writing ends anywhere: at every byte, and by a signal in the middle.
import { spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { changeSnapshot, type NumberChange, World } from "@skep/control";
import { parsePrefix } from "@skep/net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Journal, StateError } from "./journal.ts";
import { StateFolder } from "./state.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skep-journal-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = () => new Journal(folder, "x").read();

describe("a journal", () => {
  it("gives back the whole and every change, and nothing where nothing was", () => {
    expect(read()).toBeNull();
    const journal = new Journal(folder, "x");
    expect(journal.isDue).toBe(true);
    journal.replace({ a: 1 });
    expect(journal.isDue).toBe(false);
    journal.append(["one"]);
    journal.append(["two", "three"]);
    journal.close();
    expect(read()).toEqual({ whole: { a: 1 }, changes: ["one", "two", "three"] });
  });

  it("forgets the log with a new whole, and an old log is nobody's", () => {
    const journal = new Journal(folder, "x");
    journal.replace({ a: 1 });
    journal.append(["one"]);
    const old = readFileSync(join(folder, "x.1.log"));
    journal.replace({ a: 2 });
    writeFileSync(join(folder, "x.1.log"), old);
    expect(read()).toEqual({ whole: { a: 2 }, changes: [] });
    journal.replace({ a: 3 });
    journal.close();
    expect(readdirSync(folder).sort()).toEqual(["x.3.log", "x.json"]);
  });

  it("cut at any byte gives whole lines, the first ones", () => {
    const journal = new Journal(folder, "x");
    journal.replace({ a: 1 });
    const all = [["one", 1], ["two"], [["three", "ü"]]];
    const ends = all.map((changes) => {
      journal.append(changes);
      return readFileSync(join(folder, "x.1.log")).length;
    });
    journal.close();
    const log = readFileSync(join(folder, "x.1.log"));
    for (let size = log.length; size >= 0; size--) {
      truncateSync(join(folder, "x.1.log"), size);
      const whole = ends.filter((end) => end <= size).length;
      expect(read()?.changes, `cut at ${size}`).toEqual(all.slice(0, whole).flat());
    }
  });

  it("damaged before its end is refused, and torn at its end is not", () => {
    const journal = new Journal(folder, "x");
    journal.replace({ a: 1 });
    journal.append(["one"]);
    journal.close();
    appendFileSync(join(folder, "x.1.log"), "\0\0\0\n");
    expect(read()?.changes).toEqual(["one"]);
    appendFileSync(join(folder, "x.1.log"), '["two"]\n');
    expect(read).toThrow(StateError);
    expect(read).toThrow(/x\.1\.log is damaged/);
  });

  it("is due again when its log is longer than it is worth", () => {
    const journal = new Journal(folder, "x");
    journal.replace({});
    journal.append(["y".repeat(1 << 20)]);
    expect(journal.isDue).toBe(true);
    journal.replace({});
    expect(journal.isDue).toBe(false);
    journal.close();
  });
});

const prefix = (text: string) => parsePrefix(text)!;
const newWorld = (): World =>
  new World({ podCidr: prefix("10.244.0.0/16"), podCidr6: prefix("fd00::/112"), serviceCidr: prefix("10.96.0.0/16") });
const service = (n: number, type: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: s${n}}\nspec: {type: ${type}, selector: {app: a${n % 7}}, ports: [{port: ${80 + (n % 3)}}]}\n`;
const policy = (n: number): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p${n}}\nspec: {endpointSelector: {}, egress: [{toCIDR: [192.0.2.${n}/32]}]}\n`;

describe("changes of numbers", () => {
  it("make of each snapshot the next", () => {
    const world = newWorld();
    let known = world.snapshot();
    world.numberChanges();
    let seed = 1;
    const random = (below: number): number => ((seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8) % below;
    const ids: number[] = [];
    let changed = 0;
    for (let step = 0; step < 400; step++) {
      const n = random(20);
      const what = random(6);
      if (what === 0) world.applyFile(`s${n}`, service(n, ["ClusterIP", "NodePort", "LoadBalancer"][random(3)] ?? ""));
      if (what === 1) world.removeFile(`s${n}`);
      if (what === 2) world.applyFile(`p${n}`, policy(n));
      if (what === 3) world.removeFile(`p${n}`);
      if (what === 4) {
        const made = world.allocateEndpoint({ namespace: "default", name: `w${step}`, labels: { app: `a${n}` } });
        ids.push(made.id);
        const mac = new Uint8Array(6);
        world.setEndpoint({ ...made, interfaceName: `e${made.id}`, interfaceIndex: made.id, mac, hostMac: mac });
      }
      if (what === 5) world.removeEndpoint(ids.shift() ?? 0);
      world.settle();
      world.loadBalancerChanges();
      const changes = JSON.parse(JSON.stringify(world.numberChanges())) as NumberChange[];
      changed += changes.length;
      known = changeSnapshot(known, changes);
      expect(sorted(known), `step ${step}`).toEqual(sorted(world.snapshot()));
    }
    expect(changed).toBeGreaterThan(300);
  });
});

/** In which order numbers stand says nothing. */
const sorted = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_key, each: unknown) =>
    Array.isArray(each) && Array.isArray(each[0]) ? each.map((row) => JSON.stringify(row)).sort() : each,
  );

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");

/** The last that was said before the child was killed, and how many are on disk. */
async function killed(after: number): Promise<{ said: number; kept: readonly (readonly [string, string])[] }> {
  const state = join(folder, `k${after}`);
  const file = join(root, "packages/agent/test/keep-numbers.ts");
  const args = ["--conditions=skep-source", "--import", "tsx", file, state];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (data: Buffer) => {
      said += data.toString();
      if (said.split("\n").length > after) child.kill("SIGKILL");
    });
    child.on("close", () => resolve());
  });
  const lines = said.split("\n").filter((line) => line !== "");
  return { said: Number(lines.at(-1)), kept: new StateFolder(state).readNumbers()?.services.addresses ?? [] };
}

describe("an agent killed in the middle", () => {
  it("has on disk what it has answered for, and at most one more", async () => {
    for (const after of [1, 40, 137]) {
      const { said, kept } = await killed(after);
      expect([said + 1, said + 2]).toContain(kept.length);
      expect(new Set(kept.map(([, address]) => address)).size).toBe(kept.length);
    }
  }, 300_000);
});
