import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { World } from "@skep/control";
import { parsePrefix } from "@skep/net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type FolderChange, WatchedFolder } from "./folder.ts";
import { createLogger } from "./log.ts";
import { answers, serve, SocketTakenError } from "./server.ts";
import { type EndpointRecord, StateError, StateFolder } from "./state.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skep-agent-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const record: EndpointRecord = {
  ...{ id: 7, namespace: "default", name: "web", labels: { "k8s:app": "web" }, address: "10.244.0.2" },
  ...{ interfaceName: "skep7", interfaceIndex: 12, mac: "02:00:00:00:00:01", hostMac: "02:00:00:00:00:02" },
  ...{ netns: "default-web", cgroup: "skep/default-web" },
};

const prefix = (text: string) => parsePrefix(text)!;
const world = new World({ podCidr: prefix("10.244.0.0/24"), serviceCidr: prefix("10.96.0.0/24") });

describe("the state folder", () => {
  it("gives back what was written, and nothing where nothing was", () => {
    const state = new StateFolder(folder);
    expect(state.readNumbers()).toBeNull();
    expect(state.readEndpoints()).toEqual([]);
    state.keepNumbers(world);
    state.writeEndpoint(record);
    state.writeEndpoint({ ...record, id: 3 });
    const again = new StateFolder(folder);
    expect(again.readNumbers()).toEqual(world.snapshot());
    expect(again.readEndpoints().map(({ id }) => id)).toEqual([3, 7]);
    again.removeEndpoint(3);
    expect(again.readEndpoints()).toEqual([record]);
  });

  it("leaves no half-written file, and lets only its owner read", () => {
    new StateFolder(folder).keepNumbers(world);
    expect(readdirSync(folder).sort()).toEqual(["endpoints", "numbers.1.log", "numbers.json"]);
    expect(statSync(join(folder, "numbers.json")).mode & 0o777).toBe(0o600);
  });

  it("names a damaged file, and what to do", () => {
    const state = new StateFolder(folder);
    writeFileSync(join(folder, "numbers.json"), '{"version":');
    expect(() => state.readNumbers()).toThrow(StateError);
    expect(() => state.readNumbers()).toThrow(/numbers\.json is damaged/);
  });
});

describe("the watched folder", () => {
  const watch = (): { seen: FolderChange[]; errors: unknown[]; watched: WatchedFolder; next: () => Promise<void> } => {
    const seen: FolderChange[] = [];
    const errors: unknown[] = [];
    let wake: () => void = () => undefined;
    const watched = new WatchedFolder({
      folder,
      onChange: (changes) => {
        seen.push(...changes);
        wake();
      },
      onError: (error) => {
        errors.push(error);
        wake();
      },
    });
    return { seen, errors, watched, next: () => new Promise((resolve) => (wake = resolve)) };
  };

  it("tells what is there at the start, YAML alone", () => {
    writeFileSync(join(folder, "b.yaml"), "b");
    writeFileSync(join(folder, "a.yml"), "a");
    writeFileSync(join(folder, "notes.txt"), "x");
    writeFileSync(join(folder, ".hidden.yaml"), "x");
    mkdirSync(join(folder, "folder.yaml"));
    const { seen, watched } = watch();
    watched.start();
    watched.close();
    expect(seen).toEqual([
      { file: join(folder, "a.yml"), text: "a" },
      { file: join(folder, "b.yaml"), text: "b" },
    ]);
  });

  it("tells a change and a removal once", async () => {
    const file = join(folder, "a.yaml");
    writeFileSync(file, "one");
    const { seen, watched, next } = watch();
    watched.start();
    try {
      let changed = next();
      writeFileSync(file, "two, longer");
      await changed;
      changed = next();
      rmSync(file);
      await changed;
      expect(seen).toEqual([
        { file, text: "one" },
        { file, text: "two, longer" },
        { file, text: null },
      ]);
    } finally {
      watched.close();
    }
  });

  it("takes a file over when it has kept still: emptied, filled, removed and made again in between", () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
    const file = join(folder, "a.yaml");
    writeFileSync(file, "one");
    const { seen, watched } = watch();
    try {
      watched.start();
      writeFileSync(file, "");
      vi.advanceTimersByTime(500);
      rmSync(file);
      vi.advanceTimersByTime(40);
      writeFileSync(file, "two");
      vi.advanceTimersByTime(50);
      expect(seen, "nothing was still for long enough").toEqual([{ file, text: "one" }]);
      vi.advanceTimersByTime(100);
      expect(seen.slice(1)).toEqual([{ file, text: "two" }]);
      rmSync(file);
      vi.advanceTimersByTime(700);
      expect(seen.slice(2)).toEqual([{ file, text: null }]);
    } finally {
      watched.close();
      vi.useRealTimers();
    }
  });

  it("tells that the folder is gone, and forgets nothing", async () => {
    writeFileSync(join(folder, "a.yaml"), "one");
    const { seen, errors, watched, next } = watch();
    watched.start();
    try {
      const failed = next();
      rmSync(folder, { recursive: true });
      await failed;
      // The removal of the file may be seen before that of the folder; an unreadable folder removes nothing by itself.
      expect(errors.length > 0 || seen.at(-1)?.text === null).toBe(true);
    } finally {
      watched.close();
    }
  });

  it("refuses to start where there is no folder", () => {
    rmSync(folder, { recursive: true });
    expect(() => watch().watched.start()).toThrow(/ENOENT/);
  });
});

describe("the socket", () => {
  it("is for its owner alone, and refused where another agent answers", async () => {
    const path = join(folder, "run", "skep.sock");
    const server = await serve(path, () => undefined);
    try {
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(statSync(join(folder, "run")).mode & 0o777).toBe(0o700);
      await expect(serve(path, () => undefined)).rejects.toThrow(SocketTakenError);
    } finally {
      await server.close();
    }
    expect(await answers(path)).toBe(false);
  });

  it("takes the place of one that a killed agent left", async () => {
    const path = join(folder, "skep.sock");
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(path, resolve));
    // A closed server unlinks its socket: a file of the same name stands for what a kill leaves.
    await new Promise((resolve) => dead.close(resolve));
    writeFileSync(path, "");
    const server = await serve(path, () => undefined);
    expect(await answers(path)).toBe(true);
    await server.close();
  });
});

describe("the log", () => {
  const lines: string[] = [];
  beforeEach(() => lines.splice(0));
  const logger = (format: "json" | "text"): ReturnType<typeof createLogger> =>
    createLogger({ write: (line) => lines.push(line), now: () => 0, format });

  it("is one JSON object a line, bigints as text", () => {
    logger("json").warn("full", { map: "skep_ct", entries: 3n });
    expect(JSON.parse(lines[0] ?? "")).toEqual({
      time: "1970-01-01T00:00:00.000Z",
      level: "warn",
      message: "full",
      map: "skep_ct",
      entries: "3",
    });
  });

  it("is text for a person", () => {
    logger("text").info("file applied", { revision: 3 });
    expect(lines).toEqual(["1970-01-01T00:00:00.000Z info  file applied revision=3\n"]);
  });
});
