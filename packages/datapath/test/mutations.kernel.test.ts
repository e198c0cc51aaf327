// The simulated machine and the kernel do the same with every packet: the same verdict, bytes and events, also of what is malformed. What leaves changed
// has right checksums where what came had.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parsePacket, verifyChecksums } from "@skep/net";
import { openSim } from "@skep/sim";
import { linuxUnderTest, privileged } from "./linux-ground.ts";
import { furnish, Traffic } from "./mutations.ts";
import { hex, PacketGround, type Passed, type PacketMachine } from "./packet-ground.ts";

const PACKETS = 2500;
/** Packets before everything begins anew. */
const ROUND = 250;
const MANY = ["skep_backends", "skep_frontends", "skep_services", "skep_nat", "skep_flow4", "skep_flow6"];
/** Seconds: no entry ends while a busy machine stands still between two packets. */
const LONG = Object.fromEntries(
  ["ct_any", "ct_tcp_syn", "ct_tcp_fin", "ct_service_any", "ct_service_tcp_grace"].map((name) => [name, 8000]),
);

function opened(under: PacketMachine): PacketGround {
  const name = `skep-mutations-${under.pins.slice(-6).replaceAll("/", "-")}`;
  return new PacketGround(under, {
    cgroup: under.machine.processes.createCgroup(name).path,
    loadBalancer: { maglevSize: 251, dispatch: "geneve", nat46x64: "gateway" },
    config: { ...LONG, lb_dispatch: 2, nat_46x64: 1, nat_46x64_gateway: 1 },
    maxEntries: Object.fromEntries(MANY.map((map) => [map, 8192])),
  });
}

const [IPV4, IPV6, ICMP] = [0x0800, 0x86dd, 1];
const typeOf = (data: Uint8Array): number => (data[12] ?? 0) * 256 + (data[13] ?? 0);
/** Bytes of the numbers that a translation to IPv4 draws, and of the sums over them: of the packet, and of one that it quotes. */
const DRAWN = [14 + 4, 14 + 10, 42 + 4, 42 + 10].map((at) => [at, at + 1] as const);

function withoutDrawn(sent: Uint8Array, data: Uint8Array): Uint8Array {
  if (typeOf(sent) !== IPV6 || typeOf(data) !== IPV4) return data;
  const drawn = DRAWN.slice(0, data[14 + 9] === ICMP ? 4 : 2).flat();
  return data.map((byte, at) => (drawn.includes(at) ? 0 : byte));
}

/** What is to be the same. */
const told = (sent: Uint8Array, { verdict, data, events }: Passed): object => ({
  ...{ verdict, data: hex(withoutDrawn(sent, data)) },
  events: events.map((event) => ({ ...event, time: 0n })),
});

const wrongSums = (data: Uint8Array): object[] =>
  verifyChecksums(parsePacket(data)).filter(({ state }) => state === "wrong");
const isDropped = (program: string, verdict: number): boolean => verdict === (program === "skep_xdp" ? 1 : 2);

describe.skipIf(!privileged)("malformed packets, simulated and in the kernel", () => {
  let simulated: PacketGround;
  let real: PacketGround;
  beforeAll(() => {
    simulated = opened({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined });
    real = opened(linuxUnderTest());
  }, 300_000);
  afterAll(async () => {
    for (const ground of [simulated, real]) await ground?.close();
  });

  test("the same becomes of each", () => {
    const traffic = new Traffic(7);
    const outcomes = new Set<string>();
    let changed = 0;
    for (let at = 0; at < PACKETS; at++) {
      if (at % ROUND === 0) for (const ground of [simulated, real]) furnish(ground);
      const { program, data } = traffic.next();
      const [here, there] = [simulated.send(program, data), real.send(program, data)];
      const which = `packet ${at}: ${program} ${hex(data)}`;
      expect(told(data, here), which).toEqual(told(data, there));
      traffic.note(there.data);
      const reason = there.events.find(({ type }) => type === 1)?.reason ?? 0;
      outcomes.add(`${program} ${there.verdict} ${reason}`);
      const isChanged = !isDropped(program, there.verdict) && hex(there.data) !== hex(data);
      if (!isChanged || wrongSums(data).length > 0) continue;
      changed += 1;
      expect(wrongSums(there.data), which).toEqual([]);
    }
    // It is not that everything is dropped at the door.
    expect(outcomes.size).toBeGreaterThan(25);
    expect(changed).toBeGreaterThan(100);
  }, 300_000);
});
