import { existsSync, mkdirSync, rmSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { reapFolders, testFolder } from "../net/testing.ts";
import { isErrno, mount } from "../sys/index.ts";
import { exit, mov64, r0 } from "./testing-isa.ts";
import { LinuxBpf } from "./machine.ts";
import { unmountPins } from "./pins.ts";
import { bytes, canUseBpf, mapSpec, number, objectSpec } from "./testing.ts";

const machine = new LinuxBpf();
let folder = "";
let mounted: string | undefined;

describe.skipIf(!canUseBpf())("pins", () => {
  beforeEach(() => {
    reapFolders();
    folder = testFolder("pins");
    mounted = machine.preparePins(`${folder}/bpf`).mountPoint;
  });
  afterEach(() => {
    if (mounted !== undefined) unmountPins(mounted);
    rmSync(folder, { recursive: true });
  });

  test("a file system is mounted once; folders below it are made", () => {
    expect(mounted).toBe(`${folder}/bpf`);
    expect(machine.preparePins(`${folder}/bpf/maps/deep`)).toEqual({ mounted: false });
    expect(existsSync(`${folder}/bpf/maps/deep`)).toBe(true);
    expect(machine.preparePins(`${folder}/bpf`)).toEqual({ mounted: false });
  });

  test("maps and programs outlive their handles and are found again", () => {
    const pins = `${folder}/bpf`;
    const map = machine.createMap(mapSpec("pinned", "hash"));
    map.set(bytes(1, 4), bytes(42, 8));
    map.pin(`${pins}/pinned`);
    expect(
      isErrno(
        catching(() => map.pin(`${pins}/pinned`)),
        "EEXIST",
      ),
    ).toBe(true);
    map.close();
    const collection = machine.load(objectSpec([{ name: "prog", type: "xdp", code: [mov64(r0, 2), exit()] }]));
    collection.programs["prog"]!.pin(`${pins}/prog`);
    collection.close();
    expect(machine.pins(pins)).toEqual(["pinned", "prog"]);
    const again = machine.openMap(`${pins}/pinned`)!;
    expect(number(again.get(bytes(1, 4)))).toBe(42n);
    again.close();
    const program = machine.openProgram(`${pins}/prog`)!;
    expect(program.test({ data: new Uint8Array(14) }).returned).toBe(2);
    expect(program.name).toBe("prog");
    program.close();
    machine.unpin(`${pins}/pinned`);
    expect(machine.openMap(`${pins}/pinned`)).toBeNull();
  });

  test("nothing pinned is null, nothing there is empty", () => {
    expect(machine.openMap(`${folder}/bpf/none`)).toBeNull();
    expect(machine.openLink(`${folder}/bpf/none`)).toBeNull();
    expect(machine.openProgram(`${folder}/bpf/none`)).toBeNull();
    expect(machine.pins(`${folder}/nowhere`)).toEqual([]);
    machine.unpin(`${folder}/bpf/none`);
  });

  test("a pin of another kind is refused", () => {
    const map = machine.createMap(mapSpec("kind", "hash"));
    map.pin(`${folder}/bpf/kind`);
    map.close();
    expect(() => machine.openProgram(`${folder}/bpf/kind`)).toThrow("kind is a map, not a program");
    expect(() => machine.openLink(`${folder}/bpf/kind`)).toThrow("kind is a map, not a link");
  });

  test("a whole folder is removed", () => {
    const pins = `${folder}/bpf/all`;
    machine.preparePins(`${pins}/below`);
    const map = machine.createMap(mapSpec("gone", "hash"));
    map.pin(`${pins}/one`);
    map.pin(`${pins}/below/two`);
    map.close();
    machine.removePins(pins);
    expect(existsSync(pins)).toBe(false);
    machine.removePins(pins);
  });

  test("the file system that was mounted for the folder goes with it, another's stays", () => {
    const pins = `${folder}/bpf`;
    const map = machine.createMap(mapSpec("gone", "hash"));
    map.pin(`${pins}/one`);
    map.close();
    machine.removePins(pins);
    expect(existsSync(pins)).toBe(false);
    expect(machine.pins(pins)).toEqual([]);
    machine.removePins(pins);
    unmountPins(pins);
    mkdirSync(pins);
    mount("other", pins, { type: "bpf" });
    machine.removePins(pins);
    expect(machine.preparePins(pins)).toEqual({ mounted: false });
    unmountPins(pins);
    expect(machine.preparePins(pins)).toEqual({ mounted: true, mountPoint: pins });
  });

  test("pinning outside a BPF file system is an error that says where", () => {
    const map = machine.createMap(mapSpec("stray", "hash"));
    expect(() => map.pin(`${folder}/stray`)).toThrow(`bpf(OBJ_PIN) ${folder}/stray`);
    map.close();
  });
});

function catching(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}
