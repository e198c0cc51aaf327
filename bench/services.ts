// Nanoseconds that services cost a packet: to a workload's backend at tc, and from outside at XDP. Each run gets the same packet: a wrapper puts back
// what the program has changed, and its own cost is taken off. No interface is touched.
import { openLinux } from "@skep/linux";
import type { Collection, Machine } from "@skep/machine";
import { readObject } from "@skep/object";
import { encodeU32 } from "../packages/datapath/src/encode.ts";
import { median, print } from "./_lines.ts";
import { SYN, tcpPacket } from "./_packets.ts";
import { headRow, padded, withServices, type Case, type OwnMaps, type Services } from "./_services.ts";
import { compiled, needRoot, Samples, withFolder } from "./_setup.ts";

const REPEAT = 1000;
const ROUNDS = 300;
const MANY = 65_536;
/** Rounds of flows that are new: no port comes twice. */
const NEW_ROUNDS = 60;
const MANY_ROUNDS = 15;

needRoot("services");

/** The same packet for each run of the program in the wrapper's slot. */
class Wrapper {
  readonly #wrapper: Collection;

  constructor(wrapper: Collection) {
    this.#wrapper = wrapper;
  }

  /** `ports`: as many flows in turn, from `next` on. */
  run(
    target: Collection,
    name: string,
    {
      data,
      ports = 0,
      next = 0,
      repeat = REPEAT,
    }: { data: Uint8Array; ports?: number; next?: number; repeat?: number },
  ): { returned: number; duration: number } {
    const program = target.programs[name];
    if (!program) throw new Error(`no program ${name}`);
    const kind = program.info.type === "xdp" ? "xdp" : "tc";
    const wrap = this.#wrapper.programs[`wrap_${kind}`];
    const [slot, heads] = [this.#wrapper.maps[`${kind}_target`], this.#wrapper.maps["heads"]];
    if (!wrap || !slot || !heads) throw new Error("the wrapper lacks its parts");
    slot.setProgram(encodeU32(0), program);
    heads.set(encodeU32(0), headRow(data, { ports, next }));
    return wrap.test({ data, repeat });
  }
}

interface Subject {
  readonly programs: Collection;
  readonly twins: Collection;
  readonly maps: OwnMaps;
}

function measure({ programs, twins, maps }: Subject, cases: readonly Case[]): void {
  const wrapper = new Wrapper(twins);
  const samples = new Samples();
  const frames = cases.map((each) => ({
    ...each,
    data: padded(tcpPacket(each.packet)),
    opening: padded(tcpPacket({ ...each.packet, flags: SYN })),
  }));
  const right = (each: Case, returned: number): void => {
    if (returned !== each.verdict) throw new Error(`${each.name}: verdict ${returned} instead of ${each.verdict}`);
  };
  const sample = (each: Case, name: string, options: Parameters<Wrapper["run"]>[2]): void => {
    for (const base of new Set([each.base, each.base === "grow_xdp" ? "nothing_xdp" : each.base]))
      samples.add(base, wrapper.run(twins, base, { ...options, next: 0 }).duration);
    const { returned, duration } = wrapper.run(programs, each.program, options);
    right(each, returned);
    samples.add(name, duration);
  };
  for (const { name, program, opening, data, grows = 0 } of frames) {
    programs.programs[program]?.test({ data: opening });
    const length = programs.programs[program]?.test({ data }).data.length ?? 0;
    if (length !== data.length + grows) throw new Error(`${name}: ${length} bytes of ${data.length}`);
  }
  for (let round = 0; round < ROUNDS; round++) for (const each of frames) sample(each, each.name, { data: each.data });
  const flows = frames.filter(({ hasFlows }) => hasFlows);
  for (const each of flows) {
    forget(maps);
    for (let round = 0; round < NEW_ROUNDS; round++)
      sample(each, `${each.name}: new flows`, { data: each.opening, ports: MANY, next: round * REPEAT });
    wrapper.run(programs, each.program, { data: each.opening, ports: MANY, repeat: MANY });
    for (let round = 0; round < 3; round++)
      wrapper.run(programs, each.program, { data: each.data, ports: MANY, repeat: MANY });
    for (let round = 0; round < MANY_ROUNDS; round++)
      sample(each, `${each.name}: 64k flows`, { data: each.data, ports: MANY, repeat: MANY });
  }
  const empty = median(samples.of("nothing_xdp"));
  const tell = (name: string, base: Case["base"]): void => {
    // The twin that grows the packet has a cost of its own: half of it is the wrapper's, which makes the packet small again.
    const cost = median(samples.of(base));
    const skep = median(samples.of(name)) - (base === "grow_xdp" ? (cost + empty) / 2 : cost);
    print({ bench: "services", case: name, unit: "ns a packet", skep, peer: null, peerName: null });
  };
  for (const { name, base } of frames) tell(name, base);
  for (const { name, base } of flows) for (const kind of ["new flows", "64k flows"]) tell(`${name}: ${kind}`, base);
}

function forget(maps: OwnMaps): void {
  for (const name of ["skep_ct", "skep_nat", "skep_flow4"]) {
    const map = maps[name];
    if (!map) throw new Error(`no map ${name}`);
    map.deleteAll([...map.entries()].map(([key]) => key));
  }
}

function run(machine: Machine, { maps, spec, cases }: Services): void {
  const opened: { close(): void }[] = [];
  try {
    const programs = machine.bpf.load(spec, { maps, programs: [...new Set(cases.map(({ program }) => program))] });
    opened.push(programs);
    const twins = machine.bpf.load(readObject(compiled("bench/twins/wrap.bpf.ts")));
    opened.push(twins);
    measure({ programs, twins, maps }, cases);
  } finally {
    for (const each of opened.reverse()) each.close();
  }
}

await withFolder(async (folder) => {
  const machine = openLinux({ runFolder: folder });
  await withServices(machine, folder, (given) => run(machine, given));
});
