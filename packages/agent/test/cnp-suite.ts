/**
 * @module
 * Cilium's own verdicts with packets: recorded worlds of policies, each query a packet between namespaces, on whatever machine.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HOST_ENDPOINT } from "@skep/control";
import { hostPrefix, type Address } from "@skep/net";
import { PolicyEngine } from "@skep/policy";
import {
  documentsOf,
  engineOptions,
  identityOf,
  path,
  protocols,
  readCases,
  type Case,
  type Side,
} from "../../policy/test/cnp-worlds.ts";
import { ip, PacketLab, worldRows, type Ground, type Outcome, type Probe } from "./packet-lab.ts";

const CASES = 200;
const HOST = 1;

const isPod = (identity: number): boolean => identity > 1000 && identity < 2000;

/** Where the others of the world live: one address in each family where they have both. */
const outsiders: Readonly<Record<number, readonly string[]>> = {
  1: ["10.77.0.1", "fd77::1"],
  2: ["198.51.100.2", "fd77::2"],
  6: ["10.88.0.6", "fd77::6"],
  7: ["10.88.0.7", "fd77::7"],
  9: ["198.51.100.9"],
  10: ["2001:4860::10"],
  16777217: ["10.200.0.1"],
  16777218: ["10.1.200.1"],
  16777219: ["10.1.2.77"],
  16777220: ["8.8.8.8"],
  16777221: ["203.0.113.77"],
  16777222: ["2001:db8:2::77"],
  16777223: ["2001:db8:1::77"],
};
/** Known to the ipcache by their own address; the others by their prefix. */
const NAMED = [1, 2, 6, 7];

const addressOf = (identity: number, family: 4 | 6): Address | null =>
  (outsiders[identity] ?? []).map(ip).find((address) => address.family === family) ?? null;

type Query = Case["queries"][number];

/** The query as a packet; null where the two ends have no family in common, or no workload is among them. */
function probeOf({ from, to, proto, dport }: Query): Probe | null {
  const protocol = protocols[proto] ?? 0;
  if (!isPod(from) && !isPod(to)) return null;
  const ends = (family: 4 | 6): readonly (number | Address | null)[] =>
    [from, to].map((end) => (isPod(end) ? end : addressOf(end, family)));
  for (const family of [4, 6] as const) {
    if ((proto === "ICMP" && family === 6) || (proto === "ICMPv6" && family === 4)) continue;
    const [source, destination] = ends(family);
    if (source && destination) return { from: source, to: destination, protocol, port: dport, family };
  }
  return null;
}

/** What the packet must meet: the way out is asked first. */
function wanted(egress: Side | null, ingress: Side | null): string {
  for (const [side, name] of [
    [egress, "egress"],
    [ingress, "ingress"],
  ] as const) {
    if (side?.verdict === "denied") return `dropped on ${name}`;
    if (side?.redirect) return `dropped on ${name} for want of a proxy`;
  }
  return "arrived";
}

function met({ arrived, drop }: Outcome): string {
  if (arrived) return drop ? "arrived and dropped" : "arrived";
  return `dropped on ${drop?.direction ?? "?"}${drop?.reason === 180 ? " for want of a proxy" : ""}`;
}

export function cnpSuite(name: string, makeGround: () => Ground): void {
  describe.skipIf(!path)(name, () => suite(makeGround));
}

function suite(makeGround: () => Ground): void {
  let lab: PacketLab;
  const cases = readCases().slice(0, CASES);
  const pods = (cases[0]?.identities ?? []).filter(({ id }) => isPod(id)).map(({ id }) => id);

  beforeAll(() => {
    lab = new PacketLab(makeGround(), { hostFirewall: true });
    const prefixes = (cases[0]?.identities ?? []).flatMap((raw) => {
      const { id, cidr } = identityOf(raw);
      return cidr ? [{ prefix: cidr, identity: id }] : [];
    });
    const named = NAMED.flatMap((identity) =>
      (outsiders[identity] ?? []).map((text) => ({ prefix: hostPrefix(ip(text)), identity })),
    );
    lab.datapath.syncIpcache([...worldRows(), ...prefixes, ...named]);
    for (const id of pods) {
      const last = id - 1000;
      lab.addPod({ id, identity: id, address: ip(`172.20.0.${last}`), address6: ip(`fd20::${last.toString(16)}`) });
    }
    lab.addHost(HOST_ENDPOINT);
  });
  afterAll(() => lab?.close());

  it(`${CASES} worlds: every query between workloads and the rest is a packet that meets the recorded verdict`, async () => {
    const differences: string[] = [];
    let sent = 0;
    let without = 0;
    for (const world of cases) {
      const engine = new PolicyEngine(engineOptions);
      const identities = world.identities.map(identityOf);
      for (const identity of identities) engine.upsertIdentity(identity);
      engine.update(documentsOf(world));
      // In one step: the kernel is waited for once.
      lab.datapath.setPolicies(
        identities.flatMap((identity) => {
          if (isPod(identity.id)) return [engine.resolve({ id: identity.id, identity })];
          return identity.id === HOST ? [engine.resolve({ id: HOST_ENDPOINT, identity })] : [];
        }),
      );
      const asked = world.queries.flatMap((query, i) => {
        const probe = probeOf(query);
        const answer = world.answers[i];
        return probe && answer ? [{ query, probe, answer }] : [];
      });
      without += world.queries.length - asked.length;
      const outcomes = await lab.probe(asked.map(({ probe }) => probe));
      sent += outcomes.length;
      for (const [i, { query, answer }] of asked.entries()) {
        const outcome = outcomes[i];
        if (!outcome || met(outcome) === wanted(answer.egress, answer.ingress)) continue;
        const verdict = `${met(outcome)}, not ${wanted(answer.egress, answer.ingress)}`;
        differences.push(`${world.id} ${JSON.stringify(query)}: ${verdict}`);
      }
    }
    console.info(`${sent} packets in ${cases.length} worlds; ${without} queries are between ends of no wire`);
    expect(differences.slice(0, 10)).toEqual([]);
    expect(sent).toBeGreaterThan(50_000);
  }, 600_000);

  it("every drop that the datapath counted is among the flows, or told as lost", async () => {
    const { counted, flows, lost } = await lab.accounts();
    expect(flows).toBeGreaterThan(10_000n);
    expect(flows + lost).toBe(counted);
  });
}
