/**
 * @module
 * Which packets of a connection leave events, by the levels of monitor aggregation, on whichever machine.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AGGREGATION_LOW, AGGREGATION_MAXIMUM, AGGREGATION_MEDIUM, AGGREGATION_NONE } from "../src/bpf/events.bpf.ts";
import { ADDRESSES, client, server, up } from "./fixtures.ts";
import {
  FLAG,
  frame,
  mac,
  network,
  PacketGround,
  type PacketMachine,
  segment,
  type Transport,
} from "./packet-ground.ts";

const LEVELS = {
  none: AGGREGATION_NONE,
  low: AGGREGATION_LOW,
  medium: AGGREGATION_MEDIUM,
  maximum: AGGREGATION_MAXIMUM,
};
type Level = keyof typeof LEVELS;
const down = { source: mac(1, 2), destination: mac(1, 1) };
const [FROM_ENDPOINT, TO_STACK, TO_ENDPOINT] = [5, 3, 0];
const { FIN, SYN, RST, ACK, PSH } = FLAG;

export interface AggregationGround {
  readonly open: () => PacketMachine;
  /** Lets at least a second pass, of those that connections are told of again after. */
  readonly aSecond: () => Promise<void>;
}

export function aggregationSuite(levels: readonly Level[], { open, aSecond }: AggregationGround): void {
  describe.each(levels)("%s", (level) => {
    let ground: PacketGround;
    beforeAll(() => {
      const under = open();
      const { path } = under.machine.processes.createCgroup(`skep-told-${under.pins.slice(-6).replaceAll("/", "-")}`);
      ground = new PacketGround(under, {
        cgroup: path,
        config: { monitor_aggregation: LEVELS[level], monitor_interval: 1 },
      });
      for (const endpoint of [client, server]) {
        ground.allow(endpoint.id);
        ground.setEndpoint(endpoint);
      }
    }, 300_000);
    afterAll(() => ground?.close());

    let port = 41_000;
    /** Packets of one connection with somebody outside: `out` the workload's. Gives what each of them leaves: where, and how it stands to its connection. */
    const talk = (family: 4 | 6, kind: Transport = "tcp") => {
      const { client: far } = ADDRESSES[family];
      const pod = family === 4 ? "10.9.0.2" : "fd00::2";
      const own = ++port;
      const told = (program: string, bytes: Uint8Array) =>
        ground.send(program, bytes).events.map(({ type, reason, reply, established }) => {
          expect(type).toBe(4);
          return [reason, reply ? "reply" : established ? "established" : "new"];
        });
      return {
        out: (flags = 0) => told("skep_from_ep", frame(up, network(pod, far), segment(kind, [own, 443], flags))),
        back: (flags = 0) => told("skep_to_ep", frame(down, network(far, pod), segment(kind, [443, own], flags))),
      };
    };
    /** What came in is told too. */
    const arrived = level === "none" ? [[FROM_ENDPOINT, "new"]] : [];
    const all = level === "none" || level === "low";
    const flags = level === "medium";

    test.each([4, 6] as const)("a connection of TCP, IPv%i", (family) => {
      const { out, back } = talk(family);
      expect(out(SYN)).toEqual([...arrived, [TO_STACK, "new"]]);
      expect(back(SYN | ACK)).toEqual([[TO_ENDPOINT, "reply"]]);
      const more = [...arrived.map(([point]) => [point, "established"]), [TO_STACK, "established"]];
      expect(out(ACK).slice(-1)).toEqual(all ? more.slice(-1) : []);
      expect(out(PSH | ACK)).toHaveLength(all ? more.length : 0);
      expect(back(ACK)).toEqual(all ? [[TO_ENDPOINT, "reply"]] : []);
      expect(out(FIN | ACK).slice(-1)).toEqual(all || flags ? more.slice(-1) : []);
      expect(out(FIN | ACK)).toHaveLength(all ? more.length : 0);
      expect(back(FIN | ACK)).toEqual(all || flags ? [[TO_ENDPOINT, "reply"]] : []);
      expect(back(RST)).toEqual(all || flags ? [[TO_ENDPOINT, "reply"]] : []);
      expect(back(RST)).toEqual(all ? [[TO_ENDPOINT, "reply"]] : []);
    });

    test("one that goes on is told of again, each direction for itself", async () => {
      const { out, back } = talk(4, "udp");
      expect(out()).toHaveLength(arrived.length + 1);
      expect(back()).toEqual([[TO_ENDPOINT, "reply"]]);
      await aSecond();
      const again = level === "maximum" ? [] : [[TO_STACK, "established"]];
      expect(out().slice(-1)).toEqual(again);
      expect(back()).toEqual(level === "maximum" ? [] : [[TO_ENDPOINT, "reply"]]);
    });

    test("drops always are", () => {
      ground.allow(client.id, []);
      const { client: far } = ADDRESSES[4];
      port += 1;
      const denied = frame(up, network("10.9.0.2", far), segment("tcp", [port, 443], SYN));
      for (let at = 0; at < 3; at++) {
        const { events } = ground.send("skep_from_ep", denied);
        expect(events.map(({ type }) => type)).toEqual(level === "none" ? [4, 1] : [1]);
      }
      ground.allow(client.id);
    });
  });
}
