/**
 * @module
 * Services at the socket, as tests for every machine.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  FIRST_SLOTS,
  SERVICE_FLAG,
  type LoadBalancerBackendRow,
  type LoadBalancerChange,
  type LoadBalancerRows,
  type ServiceSlotRow,
} from "@skep/control";
import type { BpfMachine } from "@skep/machine";
import { Asked, AskedOwner, ReverseEntry } from "../src/bpf/maps.bpf.ts";
import type { Datapath } from "../src/index.ts";
import { NO_ROWS } from "../src/load-balancer.ts";
import { ip } from "./addresses.ts";

export interface Where {
  readonly address: string;
  readonly port: number;
}

/** What a socket got: an answer, and from whom it was told to be; or the errno's name. */
export type Answer = { readonly text: string; readonly from: Where } | string;

/** Sockets whose cgroup the datapath serves, and servers beyond it. */
export interface SocketGround {
  readonly datapath: Datapath;
  /** Answers every datagram or connection with `name`. Gives its port. */
  serve(kind: "udp" | "tcp", address: string, name: string): Promise<number>;
  /** A socket that is not connected. */
  openUdp(family: 4 | 6): Promise<UdpAsker>;
  /** Connects, and gives what it is answered and the peer that it is told. */
  askTcp(to: Where): Promise<Answer>;
  /** As `askTcp`, and the connection stays. `problem`: the errno's name that it has ended with, empty while it is open. */
  holdTcp(to: Where): Promise<Held>;
  /** Ends sockets whose backend is gone. */
  endLost(kind: "udp" | "tcp"): number;
  /** Binds a socket of the host's own: "bound", or the errno's name. */
  bind(kind: "udp" | "tcp", at: Where): Promise<string>;
  /** Sockets that have asked for this port of a service and are remembered. */
  askersOf(port: number): number;
  /** The rows of TCP sockets are others'; or given back. */
  occupy(isTaken: boolean): void;
  /** A while. */
  pause(): Promise<void>;
  close(): Promise<void>;
}

export interface Held {
  readonly text: string;
  problem(): Promise<string>;
  close(): void;
}

export interface UdpAsker {
  /** The errno's name that the socket was told beside its questions, empty where there is none. */
  problem(): Promise<string>;
  ask(to: Where): Promise<Answer>;
  /** Gives the peer that the socket is told. */
  connect(to: Where): Promise<{ readonly from: Where } | string>;
  /** Asks whom it is connected to. */
  askPeer(): Promise<Answer>;
  close(): void;
}

/** As a ground's `askersOf`. */
export function askersOf(bpf: BpfMachine, pins: string, port: number): number {
  const entries = (name: string): Uint8Array[] => {
    const map = bpf.openMap(`${pins}/maps/${name}`);
    if (!map) throw new Error("the datapath remembers no sockets");
    try {
      return [...map.entries()].map(([, value]) => value);
    } finally {
      map.close();
    }
  };
  const owners = entries("skep_sock_owner").map((owner) => AskedOwner.decode(owner).cookie);
  const rows = entries("skep_sock_tcp").map((row) => Asked.decode(row));
  const own = rows.filter(
    ({ key, entry }, at) => key.cookie !== 0n && owners[at] === key.cookie && entry.port === port,
  );
  const others = entries("skep_sock_rev").filter((value) => ReverseEntry.decode(value).port === port);
  return own.length + others.length;
}

/** As a ground's `occupy`. */
export function occupy(bpf: BpfMachine, pins: string, isTaken: boolean): void {
  const owners = bpf.openMap(`${pins}/maps/skep_sock_owner`);
  if (!owners) throw new Error("the datapath remembers no sockets");
  try {
    const nobody = AskedOwner.encode({ cookie: 0n });
    const another = AskedOwner.encode({ cookie: 1n << 60n });
    owners.setAll([...owners.entries()].map(([key]) => [key, isTaken ? another : nobody] as const));
  } finally {
    owners.close();
  }
}

const [TCP, UDP] = [6, 17];
const PROTOCOL = { tcp: TCP, udp: UDP } as const;

export interface ServiceShape {
  readonly id: number;
  readonly at: Where;
  readonly protocol: number;
  readonly backends: readonly LoadBalancerBackendRow[];
  readonly flags?: number;
  readonly affinityTimeout?: number;
  readonly scope?: 0 | 1;
  readonly algorithm?: number;
  /** Slots that the service's own row names too. */
  readonly named?: number;
}

/** The rows of one frontend. */
export function serviceRows(shape: ServiceShape): LoadBalancerRows {
  const {
    id,
    at,
    protocol,
    backends,
    flags = 0,
    affinityTimeout = 0,
    scope = 0,
    algorithm = 0,
    named = FIRST_SLOTS,
  } = shape;
  const slot = (number: number, backend: number): ServiceSlotRow => ({
    ...{ address: ip(at.address), port: at.port, protocol, scope, slot: number, backend, id, flags, algorithm },
    ...{ count: number === 0 ? backends.length : 0, quarantined: 0, affinityTimeout },
    first: number === 0 ? backends.slice(0, named).map((each) => each.id) : [],
  });
  return {
    ...NO_ROWS,
    services: [slot(0, 0), ...backends.map((backend, index) => slot(index + 1, backend.id))],
    backends,
    reverse: [{ id, address: ip(at.address), port: at.port }],
    affinity: affinityTimeout > 0 ? backends.map((backend) => ({ id, backend: backend.id })) : [],
  };
}

export function allRows(...parts: readonly LoadBalancerRows[]): LoadBalancerRows {
  return {
    services: parts.flatMap((rows) => rows.services),
    backends: parts.flatMap((rows) => rows.backends),
    reverse: parts.flatMap((rows) => rows.reverse),
    affinity: parts.flatMap((rows) => rows.affinity),
    sourceRanges: parts.flatMap((rows) => rows.sourceRanges),
    maglev: parts.flatMap((rows) => rows.maglev),
    skips: parts.flatMap((rows) => rows.skips),
  };
}

export const backend = (id: number, at: Where, protocol: number): LoadBalancerBackendRow => ({
  ...{ id, address: ip(at.address), port: at.port, protocol, state: 0, zone: 0 },
});

const FAMILIES = [
  { family: 4, loopback: "127.0.0.1", vip: "10.96.0.10", mapped: false },
  { family: 6, loopback: "::1", vip: "fd96::10", mapped: false },
  { family: 6, loopback: "127.0.0.1", vip: "10.96.0.10", mapped: true },
] as const;

/** An IPv4 address as an IPv6 socket has it. */
const asked = (where: Where, isMapped: boolean): Where =>
  isMapped ? { ...where, address: `::ffff:${where.address}` } : where;

export function socketSuite(name: string, factory: () => Promise<SocketGround>): void {
  describe(name, () => {
    let ground: SocketGround;
    let askers: UdpAsker[] = [];

    beforeAll(async () => {
      ground = await factory();
    });
    afterAll(() => ground?.close());
    afterEach(() => {
      for (const asker of askers) asker.close();
      askers = [];
      ground.datapath.replaceLoadBalancer(NO_ROWS);
    });

    const udp = async (family: 4 | 6): Promise<UdpAsker> => {
      const asker = await ground.openUdp(family);
      askers.push(asker);
      return asker;
    };
    const served = async (
      kind: "udp" | "tcp",
      address: string,
      ...names: string[]
    ): Promise<LoadBalancerBackendRow[]> => {
      const rows: LoadBalancerBackendRow[] = [];
      for (const [index, each] of names.entries()) {
        const port = await ground.serve(kind, address, each);
        rows.push(backend(index + 1, { address, port }, PROTOCOL[kind]));
      }
      return rows;
    };
    /** Answers to single questions of sockets of their own. */
    const many = async (family: 4 | 6, to: Where, times = 24): Promise<string[]> => {
      const texts: string[] = [];
      for (let at = 0; at < times; at++) {
        const answer = await (await udp(family)).ask(to);
        texts.push(typeof answer === "string" ? answer : answer.text);
      }
      return texts;
    };

    describe.each(FAMILIES)("IPv$family sockets, backends at $loopback", ({ family, loopback, vip, mapped }) => {
      const at = { address: vip, port: 53 };
      const to = asked(at, mapped);

      test("a datagram goes to a backend, and the answer comes from the service", async () => {
        const backends = await served("udp", loopback, "one", "two");
        ground.datapath.replaceLoadBalancer(serviceRows({ id: 1, at, protocol: UDP, backends }));
        expect(await (await udp(family)).ask(to)).toEqual({ text: expect.stringMatching(/one|two/), from: to });
        expect(new Set(await many(family, to))).toEqual(new Set(["one", "two"]));
      });

      test("of a connected socket the peer is the service, and answers come from it", async () => {
        const backends = await served("udp", loopback, "one");
        ground.datapath.replaceLoadBalancer(serviceRows({ id: 1, at, protocol: UDP, backends }));
        const socket = await udp(family);
        expect(await socket.connect(to)).toMatchObject({ from: to });
        expect(await socket.askPeer()).toEqual({ text: "one", from: to });
      });

      test("a connection goes to a backend, and its peer is the service", async () => {
        const backends = await served("tcp", loopback, "one", "two");
        ground.datapath.replaceLoadBalancer(serviceRows({ id: 1, at, protocol: TCP, backends }));
        const seen = new Set<string>();
        for (let count = 0; count < 24; count++) {
          const answer = await ground.askTcp(to);
          expect(answer).toMatchObject({ from: to });
          seen.add(typeof answer === "string" ? answer : answer.text);
        }
        expect(seen).toEqual(new Set(["one", "two"]));
      });

      const untilForgotten = async (port: number): Promise<void> => {
        for (let tries = 0; tries < 400 && ground.askersOf(port) !== 0; tries++) await ground.pause();
        expect(ground.askersOf(port)).toBe(0);
      };

      test.each([false, true])(
        "what a socket has asked for is forgotten when it is closed (row taken: %s)",
        async (isTaken) => {
          const backends = await served("tcp", loopback, "one");
          const port = 5300;
          ground.datapath.replaceLoadBalancer(serviceRows({ id: 1, at: { ...at, port }, protocol: TCP, backends }));
          ground.occupy(isTaken);
          try {
            const held = await ground.holdTcp({ ...to, port });
            try {
              expect(held.text).toBe("one");
              expect(ground.askersOf(port)).toBe(1);
              expect(await ground.askTcp({ ...to, port })).toMatchObject({ text: "one", from: { ...to, port } });
            } finally {
              held.close();
            }
            await untilForgotten(port);
          } finally {
            ground.occupy(false);
          }
        },
      );

      test("a connection that is refused is forgotten too", async () => {
        const port = 5301;
        const nobody = [backend(1, { address: loopback, port: 1 }, TCP)];
        ground.datapath.replaceLoadBalancer(
          serviceRows({ id: 1, at: { ...at, port }, protocol: TCP, backends: nobody }),
        );
        expect(await ground.askTcp({ ...to, port })).toBe("ECONNREFUSED");
        await untilForgotten(port);
      });

      test.each([2, 9])("%i backends are all asked, those too that only slots name", async (count) => {
        const names = Array.from({ length: count }, (_, index) => `${index}`);
        const backends = await served("tcp", loopback, ...names);
        for (const named of [0, FIRST_SLOTS]) {
          ground.datapath.replaceLoadBalancer(serviceRows({ id: 1, at, protocol: TCP, backends, named }));
          const left = new Set(names);
          // Each is missed by a try with 8/9 at most.
          for (let tries = 0; tries < 1000 && left.size > 0; tries++) {
            const answer = await ground.askTcp(to);
            left.delete(typeof answer === "string" ? answer : answer.text);
          }
          expect([...left]).toEqual([]);
        }
      });

      test("without a backend, and at a port that is not served", async () => {
        const none = serviceRows({ id: 1, at, protocol: UDP, backends: [] });
        const rest = serviceRows({ id: 0, at: { address: vip, port: 0 }, protocol: 0, backends: [] });
        ground.datapath.replaceLoadBalancer(allRows(none, { ...rest, reverse: [] }));
        expect(await (await udp(family)).ask(to)).toBe("EHOSTUNREACH");
        expect(await (await udp(family)).ask({ ...to, port: 54 })).toBe("EHOSTUNREACH");
        expect(await ground.askTcp({ ...to, port: 80 })).toBe("EHOSTUNREACH");
      });

      test("a client keeps its backend, until that is gone", async () => {
        const backends = await served("udp", loopback, "one", "two", "three");
        const shape = { id: 1, at, protocol: UDP, flags: SERVICE_FLAG.AFFINITY, affinityTimeout: 3600 };
        ground.datapath.replaceLoadBalancer(serviceRows({ ...shape, backends }));
        const [kept = ""] = await many(family, to, 1);
        expect(new Set(await many(family, to))).toEqual(new Set([kept]));
        const left = backends.filter((_, index) => ["one", "two", "three"][index] !== kept);
        ground.datapath.replaceLoadBalancer(serviceRows({ ...shape, backends: left }));
        const after = new Set(await many(family, to));
        expect(after.size).toBe(1);
        expect(after).not.toContain(kept);
      });

      test("a socket moves on when its backend is gone", async () => {
        const backends = await served("udp", loopback, "one", "two");
        const service = (rows: readonly LoadBalancerBackendRow[]): LoadBalancerRows =>
          serviceRows({ id: 1, at, protocol: UDP, backends: rows });
        ground.datapath.replaceLoadBalancer(service(backends));
        const socket = await udp(family);
        const first = await socket.ask(to);
        const name = typeof first === "string" ? first : first.text;
        // One socket stays with one backend while there is no reason to change.
        expect(await socket.ask(to)).toMatchObject({ text: name });
        ground.datapath.replaceLoadBalancer(service(backends.filter((_, index) => ["one", "two"][index] !== name)));
        expect(await socket.ask(to)).toEqual({ text: name === "one" ? "two" : "one", from: to });
      });
    });

    /** Until the owner of a socket has been told, or long after. */
    const told = async (of: { problem(): Promise<string> }): Promise<string> => {
      for (let look = 0; look < 400; look++) {
        const problem = await of.problem();
        if (problem !== "") return problem;
        await ground.pause();
      }
      return "";
    };

    test.each([4, 6] as const)("IPv%i: connected sockets are told that their backend is gone", async (family) => {
      const loopback = family === 4 ? "127.0.0.1" : "::1";
      const backends = await served("udp", loopback, "one", "two");
      const at = { address: family === 4 ? "10.96.0.14" : "fd96::14", port: 53 };
      const shape = { id: 1, at, protocol: UDP };
      ground.datapath.replaceLoadBalancer(serviceRows({ ...shape, backends }));
      const socket = await udp(family);
      await socket.connect(at);
      const first = await socket.askPeer();
      const name = typeof first === "string" ? first : first.text;
      expect(["one", "two"]).toContain(name);
      const lost = backends[name === "one" ? 0 : 1];
      if (!lost) throw new Error("no backend");
      // Who has asked the backend itself is not the service's to tell.
      const straight = await udp(family);
      await straight.connect({ address: loopback, port: lost.port });
      expect(ground.endLost("udp")).toBe(0);
      for (const state of [1, 2]) {
        const rows = backends.map((each) => (each === lost ? { ...each, state } : each));
        ground.datapath.replaceLoadBalancer(serviceRows({ ...shape, backends: rows }));
        if (state === 1) expect(ground.endLost("udp")).toBe(0);
      }
      // In quarantine.
      expect(ground.endLost("udp")).toBe(1);
      expect(await told(socket)).toBe("ECONNABORTED");
      expect(ground.endLost("udp")).toBe(0);
      ground.datapath.replaceLoadBalancer(
        serviceRows({ ...shape, backends: backends.filter((each) => each !== lost) }),
      );
      const other = name === "one" ? "two" : "one";
      const again = await udp(family);
      await again.connect(at);
      expect(await again.askPeer()).toEqual({ text: other, from: at });
      expect(ground.endLost("udp")).toBe(0);
      expect(await straight.askPeer()).toMatchObject({ text: name });
      // None is left.
      ground.datapath.replaceLoadBalancer(NO_ROWS);
      expect(ground.endLost("udp")).toBe(1);
      expect(await told(again)).toBe("ECONNABORTED");
    });

    test("so are connections", async () => {
      const backends = await served("tcp", "127.0.0.1", "one");
      const at = { address: "10.96.0.14", port: 80 };
      ground.datapath.replaceLoadBalancer(serviceRows({ id: 1, at, protocol: TCP, backends }));
      const held = await ground.holdTcp(at);
      try {
        expect(held.text).toBe("one");
        expect(ground.endLost("tcp")).toBe(0);
        expect(await held.problem()).toBe("");
        ground.datapath.replaceLoadBalancer(NO_ROWS);
        expect(ground.endLost("tcp")).toBe(1);
        expect(await told(held)).toBe("ECONNABORTED");
      } finally {
        held.close();
      }
    });

    test("of two scopes the sockets of this node get the inner one", async () => {
      const [here, there] = await served("udp", "127.0.0.1", "here", "there");
      if (!here || !there) throw new Error("no backends");
      const at = { address: "10.96.0.11", port: 53 };
      const shape = { id: 1, at, protocol: UDP, flags: SERVICE_FLAG.TWO_SCOPES };
      const outer = serviceRows({ ...shape, scope: 0, backends: [here] });
      const inner = serviceRows({ ...shape, scope: 1, backends: [there] });
      ground.datapath.replaceLoadBalancer({ ...allRows(outer, inner), reverse: outer.reverse });
      expect(new Set(await many(4, at, 8))).toEqual(new Set(["there"]));
    });

    test("Maglev's table is obeyed, with its weights", async () => {
      const [heavy, light] = await served("udp", "127.0.0.1", "heavy", "light");
      if (!heavy || !light) throw new Error("no backends");
      const at = { address: "10.96.0.12", port: 53 };
      const rows = serviceRows({ id: 5, at, protocol: UDP, backends: [heavy, light], algorithm: 2 });
      const table = (from: number): Uint32Array =>
        Uint32Array.from({ length: 251 }, (_, index) => (index < from ? heavy.id : light.id));
      ground.datapath.replaceLoadBalancer({ ...rows, maglev: [{ id: 5, table: table(251) }] });
      expect(new Set(await many(4, at))).toEqual(new Set(["heavy"]));
      ground.datapath.replaceLoadBalancer({ ...rows, maglev: [{ id: 5, table: table(0) }] });
      expect(new Set(await many(4, at))).toEqual(new Set(["light"]));
      expect(() =>
        ground.datapath.replaceLoadBalancer({ ...rows, maglev: [{ id: 5, table: new Uint32Array(7) }] }),
      ).toThrow(RangeError);
    });

    test("a NodePort is served at the host's own addresses, and nobody else binds there", async () => {
      const backends = await served("udp", "127.0.0.1", "one");
      const at = { address: "0.0.0.0", port: 30_053 };
      ground.datapath.replaceLoadBalancer(
        serviceRows({ id: 1, at, protocol: UDP, backends, flags: SERVICE_FLAG.NODE_PORT }),
      );
      ground.datapath.syncIpcache([
        { prefix: { address: ip("192.0.2.1"), length: 32 }, identity: 1 },
        { prefix: { address: ip("192.0.2.2"), length: 32 }, identity: 2 },
      ]);
      for (const address of ["127.0.0.1", "192.0.2.1"]) {
        const to = { address, port: 30_053 };
        expect(await (await udp(4)).ask(to)).toEqual({ text: "one", from: to });
      }
      expect(await ground.bind("udp", { address: "127.0.0.1", port: 30_053 })).toBe("EADDRINUSE");
      expect(await ground.bind("udp", { address: "::", port: 30_053 })).toBe("EADDRINUSE");
      expect(await ground.bind("tcp", { address: "127.0.0.1", port: 30_053 })).toBe("bound");
      ground.datapath.replaceLoadBalancer(NO_ROWS);
      expect(await ground.bind("udp", { address: "127.0.0.1", port: 30_053 })).toBe("bound");
    });

    test("an external address is this node's to serve where it is this node's", async () => {
      const backends = await served("udp", "127.0.0.1", "one");
      const at = { address: "192.0.2.7", port: 53 };
      const flags = SERVICE_FLAG.EXTERNAL_IP;
      ground.datapath.replaceLoadBalancer(serviceRows({ id: 1, at, protocol: UDP, backends, flags }));
      ground.datapath.syncIpcache([{ prefix: { address: ip(at.address), length: 32 }, identity: 1 }]);
      expect(await (await udp(4)).ask(at)).toMatchObject({ text: "one" });
      ground.datapath.syncIpcache([{ prefix: { address: ip(at.address), length: 32 }, identity: 2 }]);
      expect(await (await udp(4)).ask(at)).not.toMatchObject({ text: "one" });
    });

    test("steps are applied and taken back, and nothing is left", async () => {
      const backends = await served("udp", "127.0.0.1", "one", "two");
      const at = { address: "10.96.0.13", port: 53 };
      const written = serviceRows({
        id: 3,
        at,
        protocol: UDP,
        backends,
        affinityTimeout: 5,
        flags: SERVICE_FLAG.AFFINITY,
      });
      const step = (change: Partial<LoadBalancerChange>): void =>
        void ground.datapath.syncLoadBalancer({ written: NO_ROWS, removed: NO_ROWS, ...change });
      step({ written });
      expect(await (await udp(4)).ask(at)).toMatchObject({ from: at });
      expect(ground.datapath.replaceLoadBalancer(written)).toEqual({ changed: 0, deleted: 0 });
      step({ removed: written });
      expect(ground.datapath.replaceLoadBalancer(NO_ROWS)).toEqual({ changed: 0, deleted: 0 });
    });
  });
}
