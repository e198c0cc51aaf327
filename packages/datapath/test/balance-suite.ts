/**
 * @module
 * Services packet by packet, on whichever machine: packets of the independent builder go in, and what comes out is compared, byte for byte, with the
 * packet that the builder makes of the translated fields.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { jhashWords } from "@skep/bpf/hash";
import {
  LoadBalancer,
  parseEndpointSlice,
  parseService,
  SERVICE_FLAG,
  type LoadBalancerBackendRow,
  type LoadBalancerRows,
} from "@skep/control";
import { formatAddress, type LayerSpec } from "@skep/net";
import { parseDocuments } from "@skep/policy";
import { Affinity, AffinityKey } from "../src/bpf/maps.bpf.ts";
import { encodeAddress } from "../src/encode.ts";
import type { DatapathEndpoint } from "../src/index.ts";
import { NO_ROWS } from "../src/load-balancer.ts";
import { ip } from "./addresses.ts";
import { client, OK, REDIRECT, server, SHOT, up } from "./fixtures.ts";
import {
  ELSEWHERE,
  FLAG,
  frame,
  HERE,
  hex,
  network,
  NUMBER,
  PacketGround,
  payload,
  segment,
  type Hop,
  type PacketMachine,
  type Passed,
  type Transport,
} from "./packet-ground.ts";
import { allRows, backend, serviceRows, type ServiceShape } from "./socket-suite.ts";

const CLIENT = client.id;
const SERVER = server.id;

const FAMILIES = {
  4: {
    ...{ pod: "10.9.0.2", local: "10.9.0.3", remote: "10.8.0.3", other: "10.8.0.4", vip: "10.96.0.1" },
    ...{ router: "203.0.113.1", itself: "169.254.42.1", near: "10.9.0.0" },
  },
  6: {
    ...{ pod: "fd00::2", local: "fd00::3", remote: "fd08::3", other: "fd08::4", vip: "fd96::1" },
    ...{ router: "2001:db8:9::1", itself: "fe80::1", near: "fd00::" },
  },
} as const;

/** Into a workload. */
const into = ({ mac: destination, hostMac: source }: DatapathEndpoint): Hop => ({ source, destination });
const toClient: Hop = into(client);

export function balanceSuite(open: () => PacketMachine): void {
  let ground: PacketGround;
  let machine: PacketMachine["machine"];

  beforeAll(() => {
    const under = open();
    machine = under.machine;
    const cgroup = under.machine.processes.createCgroup(`skep-balance-${under.pins.slice(-6).replaceAll("/", "-")}`);
    ground = new PacketGround(under, { cgroup: cgroup.path });
  }, 300_000);
  afterAll(() => ground?.close());
  beforeEach(() => {
    for (const endpoint of [client, server]) ground.datapath.removeEndpoint(endpoint);
    ground.datapath.replaceLoadBalancer(NO_ROWS);
    ground.datapath.syncIpcache([]);
    for (const endpoint of [client, server]) {
      ground.allow(endpoint.id);
      ground.setEndpoint(endpoint);
    }
  });

  const from = (data: Uint8Array): Passed => ground.send("skep_from_ep", data);
  const to = (data: Uint8Array): Passed => ground.send("skep_to_ep", data);
  const becomes = ({ verdict, data }: Passed, wanted: number, packet: Uint8Array): void => {
    expect(hex(data)).toBe(hex(packet));
    expect(verdict).toBe(wanted);
  };
  const dropped = ({ verdict, events }: Passed): number | undefined => {
    expect(verdict).toBe(SHOT);
    return events.find(({ type }) => type === 1)?.reason;
  };
  const serve = (...shapes: readonly ServiceShape[]): void =>
    void ground.datapath.replaceLoadBalancer(allRows(...shapes.map(serviceRows)));
  /** Which of the interfaces test runs come from. */
  const sendAs = (one: DatapathEndpoint, other: DatapathEndpoint): void => {
    ground.setEndpoint({ ...other, interfaceIndex: ELSEWHERE });
    ground.setEndpoint({ ...one, interfaceIndex: HERE });
  };

  for (const family of [4, 6] as const) {
    const { pod, local, remote, other, vip, router, itself, near } = FAMILIES[family];
    const at = { address: vip, port: 80 };
    const one = (address: string, id = 1, protocol = 6, port = 8080): LoadBalancerBackendRow =>
      backend(id, { address, port }, protocol);

    describe(`IPv${family}`, () => {
      for (const kind of ["tcp", "udp", "sctp"] as const) {
        const protocol = NUMBER[kind];
        const service = (
          backends: readonly LoadBalancerBackendRow[],
          over: Partial<ServiceShape> = {},
        ): ServiceShape => ({
          ...{ id: 3, at, protocol, backends },
          ...over,
        });

        test(`${kind}: to a backend on this node, and its answer comes from the service`, () => {
          serve(service([one(local, 1, protocol)]));
          const body = payload(33);
          const sent = from(frame(up, network(pod, vip), segment(kind, [40_000, 80]), body));
          becomes(sent, REDIRECT, frame(into(server), network(pod, local, 63), segment(kind, [40_000, 8080]), body));
          expect(sent.events).toMatchObject([{ type: 4, destinationEndpoint: SERVER, destinationPort: 8080 }]);
          sendAs(server, client);
          const answer = from(frame(up, network(local, pod), segment(kind, [8080, 40_000], FLAG.SYN | FLAG.ACK), body));
          const restored = network(vip, pod, 63);
          becomes(answer, REDIRECT, frame(toClient, restored, segment(kind, [80, 40_000], FLAG.SYN | FLAG.ACK), body));
          expect(answer.events).toMatchObject([{ type: 4, reply: true }]);
        });

        test(`${kind}: to a backend elsewhere, and its answer comes from the service`, () => {
          serve(service([one(remote, 1, protocol)]));
          const body = payload(20);
          const sent = from(frame(up, network(pod, vip), segment(kind, [40_001, 80]), body));
          becomes(sent, OK, frame(up, network(pod, remote), segment(kind, [40_001, 8080]), body));
          const answer = to(frame(up, network(remote, pod, 60), segment(kind, [8080, 40_001], FLAG.ACK), body));
          becomes(answer, OK, frame(up, network(vip, pod, 60), segment(kind, [80, 40_001], FLAG.ACK), body));
        });

        test(`${kind}: a workload reaches itself`, () => {
          ground.allow(CLIENT, []);
          serve(service([one(pod, 1, protocol)]));
          const body = payload(9);
          const sent = from(frame(up, network(pod, vip), segment(kind, [40_002, 80]), body));
          becomes(sent, REDIRECT, frame(toClient, network(itself, pod, 63), segment(kind, [40_002, 8080]), body));
          const answer = from(frame(up, network(pod, itself), segment(kind, [8080, 40_002], FLAG.ACK), body));
          becomes(
            answer,
            REDIRECT,
            frame(toClient, network(vip, pod, 63), segment(kind, [80, 40_002], FLAG.ACK), body),
          );
        });

        test(`${kind}: an open flow keeps its backend while that is there`, () => {
          const [first, second] = [one(remote, 1, protocol), one(other, 2, protocol)];
          const open = (): string => hex(from(frame(up, network(pod, vip), segment(kind, [40_003, 80]))).data);
          const later = (): string =>
            hex(from(frame(up, network(pod, vip), segment(kind, [40_003, 80], FLAG.ACK))).data);
          const at8080 = (address: string, flags: number): string =>
            hex(frame(up, network(pod, address), segment(kind, [40_003, 8080], flags)));
          serve(service([first]));
          expect(open()).toBe(at8080(remote, FLAG.SYN));
          // Terminating: no slot names it any more.
          const rows = serviceRows(service([second]));
          ground.datapath.replaceLoadBalancer({ ...rows, backends: [{ ...first, state: 1 }, second] });
          expect(later()).toBe(at8080(remote, FLAG.ACK));
          ground.datapath.replaceLoadBalancer(rows);
          expect(later()).toBe(at8080(other, FLAG.ACK));
          // The number of what is gone names another now: nobody is led there.
          ground.datapath.replaceLoadBalancer(serviceRows(service([one(local, 2, protocol, 9)])));
          expect(later()).not.toBe(at8080(other, FLAG.ACK));
        });

        test(`${kind}: what is quarantined or in maintenance takes nothing new, and keeps what it has`, () => {
          const balancer = balancerOf({ vip, protocol: kind.toUpperCase(), backends: [remote, other] });
          const apply = (): void => void ground.datapath.syncLoadBalancer(balancer.commit());
          ground.datapath.replaceLoadBalancer(NO_ROWS);
          apply();
          const send = (port: number, flags: number): Passed =>
            from(frame(up, network(pod, vip), segment(kind, [port, 80], flags)));
          const to8080 = (port: number, address: string, flags: number): string =>
            hex(frame(up, network(pod, address), segment(kind, [port, 8080], flags)));
          const chosen = (port: number): string => {
            const data = hex(send(port, FLAG.SYN).data);
            const found = [remote, other].find((address) => data === to8080(port, address, FLAG.SYN));
            if (found === undefined) throw new Error(`to neither backend: ${data}`);
            return found;
          };
          const set = (address: string, state: "active" | "quarantined" | "maintenance"): void => {
            balancer.setBackendState({ address: ip(address), port: 8080, protocol }, state);
            apply();
          };
          const ports = Array.from({ length: 24 }, (_, at) => 47_000 + at);
          const before = new Map(ports.map((port) => [port, chosen(port)]));
          expect(new Set(before.values()).size).toBe(2);
          for (const state of ["quarantined", "maintenance"] as const) {
            set(remote, state);
            const first = state === "quarantined" ? 47_100 : 47_200;
            expect(new Set(ports.map((_, at) => chosen(first + at)))).toEqual(new Set([other]));
            for (const [port, address] of before)
              expect(hex(send(port, FLAG.ACK).data)).toBe(to8080(port, address, FLAG.ACK));
            set(remote, "active");
          }
          expect(new Set(ports.map((_, at) => chosen(47_300 + at))).size).toBe(2);
          // Nobody is left: open flows go on all the same.
          set(remote, "maintenance");
          set(other, "quarantined");
          expect(send(47_400, FLAG.SYN).events).toMatchObject([{ type: 1, reason: 158 }]);
          for (const [port, address] of before)
            expect(hex(send(port, FLAG.ACK).data)).toBe(to8080(port, address, FLAG.ACK));
        });

        test(`${kind}: without a backend the sender is told`, () => {
          serve(service([]));
          const request = [network(pod, vip), segment(kind, [40_004, 80]), payload(12)];
          const sent = from(frame(up, ...request));
          expect(sent.events).toMatchObject([{ type: 1, reason: 158 }]);
          becomes(sent, REDIRECT, frame(toClient, ...refusal(kind, request, { from: vip, to: pod })));
        });
      }

      test("a port of which nothing is served, and an answer to a segment in the middle", () => {
        ground.datapath.replaceLoadBalancer({
          ...serviceRows({ id: 0, at: { address: vip, port: 0 }, protocol: 0, backends: [] }),
          reverse: [],
        });
        const sent = from(frame(up, network(pod, vip), segment("tcp", [40_005, 81], FLAG.ACK)));
        expect(sent.events).toMatchObject([{ type: 1, reason: 158 }]);
        const reset: LayerSpec = { kind: "tcp", sourcePort: 81, destinationPort: 40_005, flags: FLAG.RST, window: 0 };
        becomes(sent, REDIRECT, frame(toClient, answerHeader(vip, pod), reset));
        // A reset is not answered.
        expect(dropped(from(frame(up, network(pod, vip), segment("tcp", [40_005, 81], FLAG.RST))))).toBe(158);
      });

      test("177: source ranges allow, or deny", () => {
        const range = { id: 3, prefix: { address: ip(near), length: family === 4 ? 24 : 64 } };
        const rows = (flags: number, ranges: LoadBalancerRows["sourceRanges"]): LoadBalancerRows => ({
          ...serviceRows({ id: 3, at, protocol: 6, backends: [one(remote)], flags: SERVICE_FLAG.SOURCE_RANGE | flags }),
          sourceRanges: ranges,
        });
        const send = (port: number): Passed => from(frame(up, network(pod, vip), segment("tcp", [port, 80])));
        ground.datapath.replaceLoadBalancer(rows(0, []));
        expect(dropped(send(41_000))).toBe(177);
        ground.datapath.replaceLoadBalancer(rows(0, [range]));
        expect(send(41_001).verdict).toBe(OK);
        ground.datapath.replaceLoadBalancer(rows(SERVICE_FLAG.SOURCE_RANGE_DENY, [range]));
        expect(dropped(send(41_002))).toBe(177);
        ground.datapath.replaceLoadBalancer(rows(SERVICE_FLAG.SOURCE_RANGE_DENY, [{ ...range, id: 4 }]));
        expect(send(41_003).verdict).toBe(OK);
      });

      test("a flow that was no service's is one's when the service comes", () => {
        const body = payload(5);
        const send = (): Passed => from(frame(up, network(pod, vip), segment("udp", [42_000, 80]), body));
        becomes(send(), OK, frame(up, network(pod, vip), segment("udp", [42_000, 80]), body));
        serve({ id: 3, at, protocol: 17, backends: [one(remote, 1, 17)] });
        becomes(send(), OK, frame(up, network(pod, remote), segment("udp", [42_000, 8080]), body));
        serve();
        becomes(send(), OK, frame(up, network(pod, vip), segment("udp", [42_000, 80]), body));
      });

      test("a client keeps its backend by affinity, over flows", () => {
        const backends = [1, 2, 3, 4, 5].map((id) => one(remote, id, 6, 8000 + id));
        const flags = SERVICE_FLAG.AFFINITY;
        serve({ id: 3, at, protocol: 6, backends, flags, affinityTimeout: 3600 });
        const ports = Array.from({ length: 20 }, (_, index) =>
          hex(
            from(frame(up, network(pod, vip), segment("tcp", [43_000 + index, 80]))).data.subarray(
              family === 4 ? 36 : 56,
              family === 4 ? 38 : 58,
            ),
          ),
        );
        expect(new Set(ports).size).toBe(1);
      });

      test("an affinity is over when its time has passed whole", () => {
        const [slot, kept] = [one(remote, 1, 6, 8001), one(remote, 2, 6, 8002)];
        const flags = SERVICE_FLAG.AFFINITY;
        const rows = serviceRows({ id: 3, at, protocol: 6, backends: [slot], flags, affinityTimeout: 3600 });
        // The client's backend is one that new clients do not get.
        const affinity = [...rows.affinity, { id: 3, backend: 2 }];
        ground.datapath.replaceLoadBalancer({ ...rows, backends: [slot, kept], affinity });
        const key = AffinityKey.encode({ client: encodeAddress(ip(pod)), service: 3, isCookie: 0 });
        const clients = ground.map("skep_affinity");
        const portAfter = (lastUsed: number, port: number): unknown => {
          clients.set(key, Affinity.encode({ backend: 2, lastUsed: lastUsed >>> 0 }));
          const { data } = from(frame(up, network(pod, vip), segment("tcp", [port, 80])));
          return new DataView(data.buffer, data.byteOffset).getUint16(family === 4 ? 36 : 56);
        };
        expect(portAfter(Number(machine.clock.monotonic() / 1_000_000_000n) - 10, 43_100)).toBe(8002);
        // The program's own clock as it was just now: read again it is not earlier.
        const { lastUsed } = Affinity.decode(clients.get(key) ?? new Uint8Array());
        expect(portAfter(lastUsed - 3600, 43_101)).toBe(8001);
      });

      test("Maglev: every node finds the same backend for a flow", () => {
        const table = Uint32Array.from({ length: 251 }, (_, index) => index + 1);
        const backends = [...table].map((id) => one(remote, id, 6, 1000 + id));
        ground.datapath.replaceLoadBalancer({
          ...serviceRows({ id: 3, at, protocol: 6, backends, algorithm: 2 }),
          maglev: [{ id: 3, table }],
        });
        const view = new DataView(ip(pod).bytes.buffer, ip(pod).bytes.byteOffset);
        const words = Array.from({ length: family === 4 ? 1 : 4 }, (_, index) => view.getUint32(index * 4));
        for (let port = 44_000; port < 44_020; port++) {
          const hash = jhashWords([...words, ((port << 16) | 80) >>> 0, 6], 0);
          const wanted = segment("tcp", [port, 1001 + (hash % 251)]);
          const sent = from(frame(up, network(pod, vip), segment("tcp", [port, 80])));
          becomes(sent, OK, frame(up, network(pod, remote), wanted));
        }
      });

      describe("annotations", () => {
        const serveAs = (annotation: string, ranges?: string): LoadBalancer => {
          const given = { vip, protocol: "TCP", backends: [remote, other], annotation };
          const balancer = balancerOf(ranges === undefined ? given : { ...given, ranges });
          balancer.commit();
          ground.datapath.replaceLoadBalancer(balancer.rows());
          return balancer;
        };
        const request = (port: number): Uint8Array => frame(up, network(pod, vip), segment("tcp", [port, 80]));
        const translated = (port: number, address: string): string =>
          hex(frame(up, network(pod, address), segment("tcp", [port, 8080])));

        test.each<[annotation: string, isServed: boolean]>([
          ["type: ClusterIP", true],
          ["type: NodePort", false],
          ["node-selector: tier=edge", true],
          ["node-selector: tier=core", false],
          ["node: edge", false],
        ])("%s: served %s", (annotation, isServed) => {
          serveAs(annotation);
          const sent = from(request(48_000));
          expect(sent.verdict).toBe(OK);
          const wanted = isServed ? [remote, other].map((each) => translated(48_000, each)) : [hex(request(48_000))];
          expect(wanted).toContain(hex(sent.data));
        });

        test.each([
          ["allow", OK],
          ["deny", SHOT],
        ] as const)("src-ranges-policy: %s", (policy, verdict) => {
          const length = family === 4 ? 24 : 64;
          serveAs(`src-ranges-policy: ${policy}`, `${near}/${length}`);
          const sent = from(request(48_001));
          expect(sent.verdict).toBe(verdict);
          if (policy === "deny") expect(dropped(sent)).toBe(177);
          else expect([remote, other].map((each) => translated(48_001, each))).toContain(hex(sent.data));
        });

        test("lb-algorithm: maglev, where the table says", () => {
          const { maglev, backends } = serveAs("lb-algorithm: maglev").rows();
          const table = maglev[0]?.table ?? new Uint32Array();
          expect(table).toHaveLength(251);
          const view = new DataView(ip(pod).bytes.buffer, ip(pod).bytes.byteOffset);
          const words = Array.from({ length: family === 4 ? 1 : 4 }, (_, index) => view.getUint32(index * 4));
          for (let port = 48_100; port < 48_120; port++) {
            const hash = jhashWords([...words, ((port << 16) | 80) >>> 0, 6], 0);
            const chosen = backends.find(({ id }) => id === table[hash % 251]);
            expect(hex(from(request(port)).data)).toBe(translated(port, chosen ? formatAddress(chosen.address) : ""));
          }
        });
      });

      test("a workload that a local redirect leaves alone", () => {
        const rows = serviceRows({
          id: 3,
          at,
          protocol: 6,
          backends: [one(local)],
          flags: SERVICE_FLAG.LOCAL_REDIRECT,
        });
        ground.datapath.replaceLoadBalancer({ ...rows, skips: [{ source: ip(pod), address: ip(vip), port: 80 }] });
        const plain = frame(up, network(pod, vip), segment("tcp", [45_000, 80]));
        becomes(from(plain), OK, plain);
        ground.datapath.replaceLoadBalancer(rows);
        expect(from(plain).verdict).toBe(REDIRECT);
      });

      describe("ICMP errors", () => {
        const open = (port: number): void => {
          serve({ id: 3, at, protocol: 17, backends: [one(remote, 1, 17)] });
          from(frame(up, network(pod, vip), segment("udp", [port, 80]), payload(8)));
        };
        const unreachable: LayerSpec =
          family === 4 ? { kind: "icmp", type: 3, code: 1, rest: 0 } : { kind: "icmpv6", type: 1, code: 3, rest: 0 };

        test("a router's speaks of the service, and stays the router's", () => {
          open(46_000);
          const about = (address: string, port: number): Uint8Array =>
            frame(
              up,
              network(router, pod),
              unreachable,
              network(pod, address, 61),
              segment("udp", [46_000, port]),
              payload(8),
            );
          becomes(to(about(remote, 8080)), OK, about(vip, 80));
        });

        test("a backend's comes from the service", () => {
          open(46_001);
          const about = (sender: string, port: number): Uint8Array =>
            frame(
              up,
              network(sender, pod),
              unreachable,
              network(pod, sender, 61),
              segment("udp", [46_001, port]),
              payload(8),
            );
          becomes(to(about(remote, 8080)), OK, about(vip, 80));
        });

        test("the client's about an answer goes to the backend", () => {
          open(46_002);
          const about = (sender: string, port: number): Uint8Array =>
            frame(
              up,
              network(pod, sender),
              unreachable,
              network(sender, pod, 61),
              segment("udp", [port, 46_002]),
              payload(8),
            );
          becomes(from(about(vip, 80)), OK, about(remote, 8080));
        });
      });
    });
  }
}

/** A service on port 80, with its backends on port 8080, as control makes it of objects. */
function balancerOf(of: {
  readonly vip: string;
  readonly protocol: string;
  readonly backends: readonly string[];
  /** `NAME: VALUE`, without their prefix. */
  readonly annotation?: string;
  /** The address is a load balancer's, for clients of these alone. */
  readonly ranges?: string;
}): LoadBalancer {
  const { vip, protocol, backends, annotation, ranges } = of;
  const annotations = annotation === undefined ? "" : `, annotations: { service.cilium.io/${annotation} }`;
  const external = `type: LoadBalancer, allocateLoadBalancerNodePorts: false, loadBalancerSourceRanges: ["${ranges ?? ""}"]`;
  const text = `
apiVersion: v1
kind: Service
metadata: { name: web${annotations} }
spec: { ${ranges === undefined ? `clusterIP: "${vip}"` : external}, ports: [{ port: 80, protocol: ${protocol} }] }
${ranges === undefined ? "" : `status: { loadBalancer: { ingress: [{ ip: "${vip}" }] } }`}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, labels: { kubernetes.io/service-name: web } }
addressType: ${ip(vip).family === 4 ? "IPv4" : "IPv6"}
endpoints: [${backends.map((address) => `{ addresses: ["${address}"] }`).join(", ")}]
ports: [{ port: 8080, protocol: ${protocol} }]
`;
  const balancer = new LoadBalancer({ maglevTableSize: 251 }, { name: "here", labels: { tier: "edge" } });
  const [service, slice] = parseDocuments("web.yaml", text).foreign;
  const spec = service && parseService(service, "web.yaml").spec;
  const endpoints = slice && parseEndpointSlice(slice, "web.yaml").spec;
  if (!spec || !endpoints) throw new Error("the objects are refused");
  balancer.setService(spec);
  balancer.setEndpointSlice(endpoints);
  return balancer;
}

/** An answer's IP header: its own number of hops, and not to be cut. */
function answerHeader(from: string, to: string): LayerSpec {
  return network(from, to, 64, ip(from).family === 4 ? { identification: 0, dontFragment: true } : {});
}

/** What a client is told: a reset, or that the port is unreachable, with the first bytes of what it has sent. */
function refusal(
  kind: Transport,
  request: readonly LayerSpec[],
  { from, to }: { readonly from: string; readonly to: string },
): LayerSpec[] {
  if (kind === "tcp") {
    const acknowledgment = 0x12345678 + 1 + 12;
    const reset = { sourcePort: 80, destinationPort: 40_004, flags: FLAG.RST | FLAG.ACK, sequence: 0, acknowledgment };
    return [answerHeader(from, to), { kind: "tcp", ...reset, window: 0 }];
  }
  const isIpv4 = ip(from).family === 4;
  const quoted = frame(up, ...request).subarray(14, 14 + (isIpv4 ? 28 : 48));
  const error: LayerSpec = isIpv4
    ? { kind: "icmp", type: 3, code: 3, rest: 0 }
    : { kind: "icmpv6", type: 1, code: 4, rest: 0 };
  return [answerHeader(from, to), error, { kind: "payload", bytes: quoted }];
}
