/**
 * @module
 * The table of drop codes, on whichever machine: each code that the datapath can raise is raised by its fixture; of the others it is said why not.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, formatDiagnostic } from "@skep/compiler";
import type { Collection } from "@skep/machine";
import { encodeU32 } from "../src/encode.ts";
import { dropReasonTexts, dropsNotRaised } from "../src/index.ts";
import { dropTable, FIRST_DROP } from "./drop-table.ts";
import { ADDRESSES, dropFixtures, reset, SETTINGS, type DropFixture } from "./drop-fixtures.ts";
import { PacketGround, type PacketMachine } from "./packet-ground.ts";

const NOBODY = "nobody";
const LAST_CALL = 15;

function nobodyObject(): NonNullable<ReturnType<typeof compile>["spec"]> {
  const readFile = (path: string): string | undefined => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  };
  const { spec, diagnostics } = compile(fileURLToPath(new URL("programs/nobody.bpf.ts", import.meta.url)), {
    readFile,
  });
  if (!spec) throw new Error(diagnostics.map((each) => formatDiagnostic(each, "")).join("\n"));
  return spec;
}

export function dropsSuite(open: () => PacketMachine): void {
  const raised = new Map<number, string[]>();

  for (const setting of Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]) {
    const fixtures = dropFixtures.filter((each) => (each.setting ?? "plain") === setting);
    if (fixtures.length === 0) continue;
    describe(setting, () => {
      let ground: PacketGround;
      let nobody: Collection;
      beforeAll(() => {
        const under = open();
        const name = `skep-drops-${setting}-${under.pins.slice(-6).replaceAll("/", "-")}`;
        ground = new PacketGround(under, {
          cgroup: under.machine.processes.createCgroup(name).path,
          ...SETTINGS[setting],
        });
        nobody = under.machine.bpf.load(nobodyObject(), { maps: { skep_calls: ground.map("skep_calls") } });
        ground.map("skep_calls").setProgram(encodeU32(LAST_CALL), ground.program("skep_from_ovl"));
      }, 300_000);
      afterAll(async () => {
        nobody?.close();
        await ground?.close();
      });

      const dropOf = (fixture: DropFixture, family: 4 | 6): number => {
        const scene = { ground, family, ends: ADDRESSES[family] };
        reset(scene);
        fixture.prepare?.(scene);
        try {
          const program = fixture.program === NOBODY ? nobody.programs[NOBODY] : undefined;
          const told = fixture.frames(scene).map((data) => ground.send(fixture.program, data, program));
          const drops = told.map(({ events }) => events.find(({ type }) => type === 1)?.reason ?? 0);
          // What comes before the last packet is only its history.
          expect(drops.slice(0, -1).every((code) => code === 0)).toBe(true);
          return drops.at(-1) ?? 0;
        } finally {
          fixture.restore?.(scene);
        }
      };

      for (const fixture of fixtures) {
        for (const family of fixture.families ?? [4, 6]) {
          test(`${fixture.code}: ${fixture.packet}, IPv${family}`, () => {
            expect(dropOf(fixture, family)).toBe(fixture.code);
            raised.set(fixture.code, [...(raised.get(fixture.code) ?? []), `IPv${family}`]);
          });
        }
      }
    });
  }

  test("every code of the table is raised, or it is said why it cannot be", () => {
    const raisable = [...new Set(dropFixtures.map(({ code }) => code))];
    const table = dropTable((code) => raised.get(code) ?? []);
    console.log(table.join("\n"));
    expect([...raised.keys()].sort((a, b) => a - b)).toEqual(raisable);
    const known = [...raisable, ...Object.keys(dropsNotRaised).map(Number)].sort((a, b) => a - b);
    expect(documented()).toEqual(table.slice(2).map(cells));
    expect(known).toEqual(
      Object.keys(dropReasonTexts)
        .map(Number)
        .filter((code) => code >= FIRST_DROP),
    );
  });
}

const cells = (row: string): string[] =>
  row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

/** The rows of the page. */
function documented(): string[][] {
  const page = readFileSync(fileURLToPath(new URL("../../../docs/drop-reasons.md", import.meta.url)), "utf8");
  return page
    .split("\n")
    .filter((line) => /^\| \d+ /.test(line))
    .map(cells);
}
