/**
 * @module
 * What a name server answers a workload is told with its bytes, whatever their number.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ip } from "./addresses.ts";
import { client, up } from "./fixtures.ts";
import { frame, hex, mac, network, PacketGround, payload, segment, type PacketMachine } from "./packet-ground.ts";

const down = { source: mac(1, 2), destination: mac(1, 1) };
const ENDS = { 4: ["10.9.0.2", "198.51.100.53"], 6: ["fd00::2", "2001:db8::53"] } as const;

export function answersSuite(open: () => PacketMachine): void {
  let ground: PacketGround;
  beforeAll(() => {
    const under = open();
    const cgroup = under.machine.processes.createCgroup(`skep-answers-${under.pins.slice(-6).replaceAll("/", "-")}`);
    ground = new PacketGround(under, { cgroup: cgroup.path });
    ground.allow(client.id);
    ground.setEndpoint(client);
  }, 300_000);
  afterAll(() => ground?.close());

  describe.each([4, 6] as const)("IPv%i", (family) => {
    const [pod, server] = ENDS[family];
    let port = 40_000;
    /** The answers that are told of when so many bytes come back for a question. */
    const answered = (size: number, from = 53) => {
      port += 1;
      ground.send("skep_from_ep", frame(up, network(pod, server), segment("udp", [port, from]), payload(20)));
      const reply = frame(down, network(server, pod), segment("udp", [from, port]), payload(size));
      return ground.send("skep_to_ep", reply).answers;
    };

    test.each([12, 13, 100, 255, 256, 511, 512, 683, 1000, 1023])("%i bytes", (size) => {
      const [answer, more] = answered(size);
      expect(more).toBeUndefined();
      expect(answer).toMatchObject({ endpoint: client.id, client: ip(pod), server: ip(server) });
      const sent = payload(size);
      expect(answer?.message && hex(answer.message)).toBe(sent.kind === "payload" && hex(sent.bytes));
    });

    test("more than it has room for is told without the bytes", () => {
      expect(answered(1024).map(({ message }) => message)).toEqual([null]);
      expect(answered(1400).map(({ message }) => message)).toEqual([null]);
    });

    test("less than a message's header, other ports and what nobody has asked for are no answers", () => {
      expect(answered(11)).toEqual([]);
      expect(answered(100, 5353)).toEqual([]);
      const unasked = frame(down, network(server, pod), segment("udp", [53, 39_999]), payload(100));
      expect(ground.send("skep_to_ep", unasked)).toMatchObject({ verdict: 0, answers: [] });
    });
  });
}
