/**
 * @module
 * The translation at both hooks, on whichever machine: packets of the independent builder go in, and what comes out is compared with the
 * packet that the builder makes of the translated fields.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { compile, formatDiagnostic } from "@skep/compiler";
import type { Collection, Machine, RawMap } from "@skep/machine";
import { buildPacket, parsePacket, verifyChecksums, type LayerSpec } from "@skep/net";
import type { ObjectSpec } from "@skep/object";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { NatEntry, NatKey } from "../src/bpf/nat-map.bpf.ts";
import { ip, mac } from "./packets.ts";

export const privileged = process.getuid?.() === 0;

const NO_MAPPING = 1167;
const UNSUPPORTED = 1168;
const [SYN, FIN, ACK] = [0x02, 0x01, 0x10];
const [FIRST_PORT, PORTS] = [40_000, 8];

type Hook = "tc" | "xdp";
type Family = 4 | 6;
interface Ends {
  readonly pod: string;
  readonly other: string;
  readonly node: string;
  readonly remote: string;
  readonly router: string;
}

const ENDS: Readonly<Record<Family, Ends>> = {
  4: { pod: "10.9.0.2", other: "10.9.0.3", node: "192.0.2.1", remote: "198.51.100.7", router: "203.0.113.1" },
  6: { pod: "fd00::2", other: "fd00::3", node: "2001:db8::1", remote: "2001:db8:7::7", router: "2001:db8:9::1" },
};

const payload = (length: number): LayerSpec => ({
  kind: "payload",
  bytes: Uint8Array.from({ length }, (_, at) => (at * 37 + length) & 0xff),
});
const ethernet: LayerSpec = { kind: "ethernet", source: mac(1, 1), destination: mac(1, 2) };
const frame = (...layers: readonly LayerSpec[]): Uint8Array => buildPacket([ethernet, ...layers]);
const network = (family: Family, from: string, to: string, over: object = {}): LayerSpec =>
  family === 4
    ? { kind: "ipv4", source: ip(from), destination: ip(to), identification: 7, ...over }
    : { kind: "ipv6", source: ip(from), destination: ip(to), ...over };

type Transport = "tcp" | "udp" | "sctp" | "echo";
/** A segment of the transport; of an echo the port at the sender's or the receiver's side is its identifier. */
function segment(family: Family, kind: Transport, ports: readonly [number, number], flags = SYN): LayerSpec {
  const [sourcePort, destinationPort] = ports;
  if (kind === "tcp") return { kind, sourcePort, destinationPort, flags, sequence: 0x12345678 };
  if (kind === "udp" || kind === "sctp") return { kind, sourcePort, destinationPort };
  const isReply = sourcePort === 0;
  const rest = (((isReply ? destinationPort : sourcePort) << 16) | 9) >>> 0;
  return family === 4
    ? { kind: "icmp", type: isReply ? 0 : 8, rest }
    : { kind: "icmpv6", type: isReply ? 129 : 128, rest };
}

let object: ObjectSpec | null = null;
function natObject(): ObjectSpec {
  const readFile = (path: string): string | undefined => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  };
  const { spec, diagnostics } = compile(fileURLToPath(new URL("programs/nat.bpf.ts", import.meta.url)), { readFile });
  if (!spec) throw new Error(diagnostics.map((each) => formatDiagnostic(each, "")).join("\n"));
  return spec;
}

export function natSuite(open: () => Machine): void {
  let machine: Machine;
  let programs: Collection;
  let mappings: RawMap;

  beforeAll(() => {
    object ??= natObject();
    machine = open();
    programs = machine.bpf.load(object, {
      maxEntries: { skep_nat: 1024 },
      config: { nat_first_port: FIRST_PORT, nat_last_port: FIRST_PORT + PORTS - 1 },
    });
    const map = programs.maps["skep_nat"];
    if (!map) throw new Error("no map skep_nat");
    mappings = map;
    return () => programs.close();
  }, 300_000);
  beforeEach(() => mappings.deleteAll([...mappings.entries()].map(([key]) => key)));

  const run = (name: string, data: Uint8Array): { returned: number; data: Uint8Array } => {
    const program = programs.programs[name];
    if (!program) throw new Error(`no program ${name}`);
    return program.test({ data });
  };
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

  for (const hook of ["tc", "xdp"] as const satisfies readonly Hook[]) {
    const out = (data: Uint8Array): { returned: number; data: Uint8Array } => run(`nat_out_${hook}`, data);
    const back = (data: Uint8Array): { returned: number; data: Uint8Array } => run(`nat_back_${hook}`, data);
    const PASSED = hook === "tc" ? 0 : 2;
    const becomes = (sent: Uint8Array, wanted: Uint8Array, way: typeof out): void => {
      const { returned, data } = way(sent);
      expect(returned).toBe(PASSED);
      expect(text(data)).toBe(text(wanted));
    };
    /** The source port that a packet left with. */
    const portOf = (data: Uint8Array): number => {
      const layer = parsePacket(data).layers.find(({ kind }) => kind === "tcp" || kind === "udp" || kind === "sctp");
      if (!layer || !("sourcePort" in layer)) throw new Error("no transport");
      return layer.sourcePort;
    };
    const rightChecksums = (data: Uint8Array): void =>
      expect(verifyChecksums(parsePacket(data)).filter(({ state }) => state === "wrong")).toEqual([]);

    for (const family of [4, 6] as const) {
      const { pod, other, node, remote, router } = ENDS[family];
      const out4 = (kind: Transport, from: string, ports: readonly [number, number], length = 33): Uint8Array =>
        frame(network(family, from, remote), segment(family, kind, ports), payload(length));

      describe(`${hook}, IPv${family}`, () => {
        for (const kind of ["tcp", "udp", "sctp", "echo"] as const) {
          const own = 40_003;
          const [there, here] =
            kind === "echo" ? [[own, 0] as const, [0, own] as const] : [[own, 80] as const, [80, own] as const];

          it(`${kind}: leaves with the node's address and its own port, and the answer comes back`, () => {
            becomes(out4(kind, pod, there), out4(kind, node, there), out);
            const answer = (to: string): Uint8Array =>
              frame(network(family, remote, to), segment(family, kind, here, ACK), payload(21));
            becomes(answer(node), answer(pod), back);
          });

          it(`${kind}: two with one port leave with two, and each gets its answers`, () => {
            const ports = [pod, other].map((from) => {
              const sent = out(out4(kind, from, there, 40));
              expect(sent.returned).toBe(PASSED);
              rightChecksums(sent.data);
              const words = parsePacket(sent.data).layers.flatMap((layer) =>
                "rest" in layer ? [layer.rest >>> 16] : [],
              );
              return words[0] ?? portOf(sent.data);
            });
            expect(ports[0]).toBe(own);
            expect(ports[1]).not.toBe(own);
            for (const [at, to] of [pod, other].entries()) {
              const port = ports[at] ?? 0;
              const swap = (value: number): readonly [number, number] => (kind === "echo" ? [0, value] : [80, value]);
              const answer = (address: string, value: number): Uint8Array =>
                frame(network(family, remote, address), segment(family, kind, swap(value), ACK), payload(20));
              becomes(answer(node, port), answer(to, own), back);
            }
          });
        }

        it("a port outside the range becomes one inside", () => {
          const sent = out(out4("tcp", pod, [1000, 80]));
          const port = portOf(sent.data);
          expect(port).toBeGreaterThanOrEqual(FIRST_PORT);
          expect(port).toBeLessThan(FIRST_PORT + PORTS);
          expect(text(sent.data)).toBe(text(out4("tcp", node, [port, 80])));
        });

        it("keeps a flow's port, also when one of its two entries was evicted", () => {
          out(out4("udp", other, [40_001, 53]));
          const first = out(out4("udp", pod, [40_001, 53]));
          for (const direction of [0, 1]) {
            const keys = [...mappings.entries()].map(([key]) => key);
            mappings.deleteAll(keys.filter((key) => NatKey.decode(key).direction === direction));
            if (direction === 1) out(out4("udp", other, [40_001, 53]));
            expect(text(out(out4("udp", pod, [40_001, 53])).data)).toBe(text(first.data));
          }
        });

        it("167 where every port of that end is taken, until a flow is over; another end has its own", () => {
          const from = (at: number): Uint8Array => out4("udp", pod, [1000 + at, 53]);
          const ports = Array.from({ length: PORTS }, (_, at) => out(from(at))).map(({ data }) => portOf(data));
          expect(new Set(ports).size).toBe(PORTS);
          expect(out(from(PORTS)).returned).toBe(NO_MAPPING);
          const elsewhere = frame(network(family, pod, router), segment(family, "udp", [1000, 53]));
          expect(out(elsewhere).returned).toBe(PASSED);
          for (const [key, value] of [...mappings.entries()]) {
            const mapped = NatEntry.decode(value);
            if (NatKey.decode(key).direction === 1 && mapped.port === 1003)
              mappings.set(key, NatEntry.encode({ ...mapped, expires: 1 }));
          }
          const taken = out(from(PORTS));
          expect(taken.returned).toBe(PASSED);
          expect(portOf(taken.data)).toBe(ports[3]);
          // Whose port it was finds that it has none any more.
          expect(out(from(3)).returned).toBe(NO_MAPPING);
        });

        it("167 for an answer to nothing, and 168 for what has no port", () => {
          const answer = frame(network(family, remote, node), segment(family, "tcp", [80, 40_000], ACK));
          expect(back(answer).returned).toBe(NO_MAPPING);
          const kind = family === 4 ? "icmp" : "icmpv6";
          const timestamp = frame(network(family, pod, remote), { kind, type: family === 4 ? 13 : 139, rest: 5 });
          expect(out(timestamp).returned).toBe(UNSUPPORTED);
        });

        it("a mapping lives as long as its flow: a minute until it is answered, then hours, and 10 s behind both FINs", () => {
          const left = (): number => {
            const [entry] = [...mappings.entries()].filter(([key]) => NatKey.decode(key).direction === 1);
            if (!entry) throw new Error("no mapping");
            return NatEntry.decode(entry[1]).expires - Number(machine.clock.monotonic() / 1_000_000_000n);
          };
          const near = (seconds: number): void => {
            expect(left()).toBeGreaterThan(seconds - 3);
            expect(left()).toBeLessThanOrEqual(seconds);
          };
          const answer = (flags: number): Uint8Array =>
            frame(network(family, remote, node), segment(family, "tcp", [80, 40_000], flags));
          const say = (flags: number): Uint8Array =>
            frame(network(family, pod, remote), segment(family, "tcp", [40_000, 80], flags));
          out(say(SYN));
          near(60);
          back(answer(SYN | ACK));
          near(8000);
          out(say(FIN | ACK));
          near(8000);
          back(answer(FIN | ACK));
          near(10);
        });

        const error = (from: string, to: string, ...quoted: readonly LayerSpec[]): Uint8Array =>
          frame(
            network(family, from, to),
            family === 4 ? { kind: "icmp", type: 3, code: 1, rest: 0 } : { kind: "icmpv6", type: 1, code: 3, rest: 0 },
            ...quoted,
          );
        for (const kind of ["tcp", "udp", "echo"] as const) {
          it(`an ICMP error about ${kind} from the way gets to the sender, inside out`, () => {
            out(out4(kind, other, kind === "echo" ? [1000, 0] : [1000, 80]));
            const sent = out(out4(kind, pod, kind === "echo" ? [1000, 0] : [1000, 80]));
            const port =
              kind === "echo" ? (parsePacket(sent.data).layers[2] as { rest: number }).rest >>> 16 : portOf(sent.data);
            const about = (from: string, value: number): LayerSpec[] => [
              network(family, from, remote),
              segment(family, kind, kind === "echo" ? [value, 0] : [value, 80]),
              payload(16),
            ];
            becomes(error(router, node, ...about(node, port)), error(router, pod, ...about(pod, 1000)), back);
            expect(back(error(router, node, ...about(node, port + 100))).returned).toBe(NO_MAPPING);
          });
        }

        it("an ICMP error that quotes eight bytes of TCP gets there too", () => {
          out(out4("tcp", pod, [40_002, 80]));
          const about = (from: string): LayerSpec[] => {
            const whole = buildPacket([network(family, from, remote), segment(family, "tcp", [40_002, 80])]);
            return [{ kind: "payload", bytes: whole.subarray(0, (family === 4 ? 20 : 40) + 8) }];
          };
          becomes(error(router, node, ...about(node)), error(router, pod, ...about(pod)), back);
        });

        it("an ICMP error from inside about an answer leaves as the node's, and quotes what was sent to it", () => {
          out(out4("udp", other, [1000, 53]));
          const port = portOf(out(out4("udp", pod, [1000, 53])).data);
          const about = (to: string, value: number): LayerSpec[] => [
            network(family, remote, to),
            segment(family, "udp", [53, value]),
            payload(9),
          ];
          becomes(error(pod, remote, ...about(pod, 1000)), error(node, remote, ...about(node, port)), out);
          expect(out(error(pod, remote, ...about(pod, 1001))).returned).toBe(NO_MAPPING);
        });

        it("fragments go with their first", () => {
          const piece = (from: string, at: number, ...rest: readonly LayerSpec[]): Uint8Array =>
            family === 4
              ? frame(network(4, from, remote, { protocol: 17, fragmentOffset: at, moreFragments: at === 0 }), ...rest)
              : frame(
                  network(6, from, remote),
                  {
                    ...{ kind: "ipv6-fragment", fragmentOffset: at, moreFragments: at === 0, identification: 9 },
                    ...(at > 0 ? { nextHeader: 17 } : {}),
                  },
                  ...rest,
                );
          const whole = { kind: "udp", sourcePort: 40_004, destinationPort: 53, length: 48 } as const;
          // The sum of the whole datagram stands in its first fragment.
          const sum = (from: string): number => {
            const built = parsePacket(frame(network(family, from, remote), { ...whole, length: 48 }, payload(40)));
            const udp = built.layers.find(({ kind }) => kind === "udp");
            return udp?.kind === "udp" ? udp.checksum : 0;
          };
          const first = (from: string): Uint8Array => piece(from, 0, { ...whole, checksum: sum(from) }, payload(24));
          becomes(first(pod), first(node), out);
          becomes(piece(pod, 32, payload(16)), piece(node, 32, payload(16)), out);
        });
      });
    }

    it(`${hook}: UDP without a checksum stays without`, () => {
      const { pod, node, remote } = ENDS[4];
      const plain = (from: string): Uint8Array =>
        frame(
          network(4, from, remote),
          { kind: "udp", sourcePort: 40_000, destinationPort: 53, checksum: 0 },
          payload(5),
        );
      becomes(plain(pod), plain(node), out);
    });
  }
}
