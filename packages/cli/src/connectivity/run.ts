/**
 * @module
 * Plays scenarios on a ground. A probe that fails must have been dropped, by the right policy and in the right direction; a drop that no probe
 * expected is a failure of its own.
 */
import { formatAddress, parseAddress } from "@skep/net";
import { connectionName, type Drop, type Ground } from "./ground.ts";
import type { Expectation, Probe, Refusal, Scenario } from "./scenarios.ts";

export interface Finding {
  readonly probe: string;
  readonly expected: string;
  readonly seen: string;
  readonly ok: boolean;
}

export interface Outcome {
  readonly name: string;
  readonly summary: string;
  readonly findings: readonly Finding[];
  readonly ok: boolean;
  /** Milliseconds of the caller's clock. */
  readonly took: number;
}

const POLICY_DENIED = 133;
const DENY_RULE = 181;
/** Its sender is told how long its packets may be, and says it in shorter ones. */
const TOO_LONG = 136;
const [SYN, ACK] = [0x02, 0x10];
/** A packet that arrives needs no such patience; it is given some for a busy machine. */
const ARRIVES_MS = 20_000;
const DROP_LOOKS = 40;
const LOOK_MS = 25;

function refusalOf(drop: Drop): string {
  if (drop.reason === POLICY_DENIED) return `${drop.direction} denied`;
  if (drop.reason === DENY_RULE) return `${drop.direction} deny rule`;
  return `${drop.direction} dropped, reason ${drop.reason}`;
}

/** Of a socket of both families. */
const bare = (address = ""): string => address.replace(/^::ffff:/, "");

const portText = ({ port, udp }: Probe): string => (port === null ? "echo" : `${port}${udp === true ? "/udp" : ""}`);
const probeText = (probe: Probe): string => {
  const to = probe.to.includes(":") ? `[${probe.to}]` : probe.to;
  return `${probe.from} -> ${to}:${portText(probe)}${probe.size === undefined ? "" : `, ${probe.size} bytes`}`;
};

export class ConnectivityTest {
  readonly #ground: Ground;
  readonly #now: () => number;
  readonly #unexpected: string[] = [];
  /** Connections of the scenarios before. */
  #older = new Set<string>();

  constructor(ground: Ground, now: () => number) {
    this.#ground = ground;
    this.#now = now;
  }

  async run(scenario: Scenario): Promise<Outcome> {
    const started = this.#now();
    const { name, summary } = scenario;
    const findings = await this.#findings(scenario);
    return { ...{ name, summary, findings }, ok: findings.every(({ ok }) => ok), took: this.#now() - started };
  }

  async #findings(scenario: Scenario): Promise<Finding[]> {
    const ground = this.#ground;
    this.#older = ground.connections();
    try {
      ground.setPolicies(
        scenario.policies.map((text) =>
          // A workload's address is given when it joins.
          text.replaceAll(
            /<(\S+) (address6?)>/g,
            (_, name: string, key: "address" | "address6") => ground.actor(name)[key],
          ),
        ),
      );
    } catch (error) {
      const seen = error instanceof Error ? error.message : String(error);
      return [{ probe: "policies", expected: "in force", seen, ok: false }];
    }
    this.#takeDrops();
    const before = ground.forwarded();
    const findings = await this.#probe(scenario.probes);
    if (scenario.also === "metrics") {
      const grown = ground.forwarded() - before;
      findings.push({ probe: "forwarded packets", expected: "counted", seen: `${grown}`, ok: grown > 0n });
    }
    if (scenario.also === "restart") {
      ground.restartAgent();
      findings.push(...(await this.#probe(scenario.probes)));
    }
    return findings;
  }

  /** What an answered request has still under way when the next policies come is theirs to deny, and nobody's finding. */
  #takeDrops(): Drop[] {
    return this.#ground.takeDrops().filter((drop) => {
      const { reason, source, sourcePort, destination, destinationPort, tcpFlags } = drop;
      if ((reason !== POLICY_DENIED && reason !== DENY_RULE) || (tcpFlags & (SYN | ACK)) === SYN) return true;
      const ends = [
        `${formatAddress(source)} ${sourcePort}`,
        `${formatAddress(destination)} ${destinationPort}`,
      ] as const;
      return !this.#older.has(connectionName(...ends));
    });
  }

  async #probe(probes: readonly Probe[]): Promise<Finding[]> {
    const drops: Drop[] = [];
    // Those that are denied wait out their time side by side.
    const answers = await Promise.all(probes.map((probe) => this.#ask(probe)));
    const refused = probes.filter(({ expect }) => expect !== "ok");
    for (let look = 0; look < DROP_LOOKS; look++) {
      drops.push(...this.#takeDrops());
      if (refused.every((probe) => this.#dropOf(probe, drops))) break;
      await this.#ground.sleep(LOOK_MS);
    }
    const findings = probes.map((probe, at) => this.#judge(probe, answers[at] ?? false, drops));
    const isLong = probes.some(({ udp, size }) => udp === true && size !== undefined);
    this.#noteUnexpected(refused, isLong ? drops.filter(({ reason }) => reason !== TOO_LONG) : drops);
    return findings;
  }

  /** True for the answer that was wanted, false for none; else what came instead. */
  async #ask({ from, to, port, expect, seenAs, by, udp, size: wanted }: Probe): Promise<boolean | string> {
    const actor = this.#ground.actor(from);
    const host = this.#addressOf(to);
    const timeout = expect === "ok" ? ARRIVES_MS : this.#ground.patience;
    if (port !== null) {
      const size =
        wanted === undefined
          ? undefined
          : Math.min(wanted, this.#ground.longest[udp === true ? "udp" : host.includes(":") ? 6 : 4]);
      const question = { port, timeout, ...(size === undefined ? {} : { size }) };
      const answer = await (udp === true ? actor.datagram(host, question) : actor.request(host, question));
      if (answer.ok && seenAs !== undefined && bare(answer.seenAs) !== this.#addressOf(seenAs))
        return `seen as ${bare(answer.seenAs)}`;
      if (answer.ok && by !== undefined && !answer.text.startsWith(`${by}:`)) return `answer of ${answer.text}`;
      if (answer.ok && size !== undefined && answer.text.length !== size) return `${answer.text.length} bytes`;
      return answer.ok || answer.text;
    }
    if (!actor.ping) throw new Error(`${from} cannot send an echo`);
    return actor.ping(host, timeout);
  }

  #addressOf(target: string): string {
    return parseAddress(target) ? target : this.#ground.actor(target).address;
  }

  #dropOf(probe: Probe, drops: readonly Drop[]): Drop | undefined {
    const [from, to] = [this.#ground.actor(probe.from).address, this.#addressOf(probe.to)];
    const isService = probe.to !== to ? false : !drops.some((drop) => formatAddress(drop.destination) === to);
    return drops.find(
      (drop) =>
        // The host has several addresses, and takes the one of the route.
        (probe.from === "host" || formatAddress(drop.source) === from) &&
        // A service's packets go to a backend: their address is not known here.
        (isService || formatAddress(drop.destination) === to) &&
        (probe.port === null || drop.destinationPort === probe.port),
    );
  }

  #judge(probe: Probe, answer: boolean | string, drops: readonly Drop[]): Finding {
    const expected: Expectation = probe.expect;
    const drop = this.#dropOf(probe, drops);
    const seen =
      answer === true ? "ok" : drop ? refusalOf(drop) : `no answer${answer === false ? "" : ` (${answer})`}, no drop`;
    return { ...{ probe: probeText(probe), expected, seen }, ok: seen === expected };
  }

  #noteUnexpected(refused: readonly Probe[], drops: readonly Drop[]): void {
    const expected = new Set<Refusal>(refused.flatMap(({ expect }) => (expect === "ok" ? [] : [expect])));
    for (const drop of drops) {
      if (expected.has(refusalOf(drop) as Refusal)) continue;
      const ends = `${formatAddress(drop.source)} -> ${formatAddress(drop.destination)}:${drop.destinationPort}`;
      this.#unexpected.push(`${ends}: ${refusalOf(drop)}`);
    }
  }

  /** The last two of Cilium's tests look back on all that was played. */
  closing(): Outcome[] {
    const look = (name: string, summary: string, found: readonly string[]): Outcome => {
      const seen = found.length === 0 ? "none" : `${found.length}: ${found[0]}`;
      const finding = { probe: summary, expected: "none", seen, ok: found.length === 0 };
      return { ...{ name, summary, findings: [finding] }, ok: finding.ok, took: 0 };
    };
    this.#unexpected.push(...this.#takeDrops().map((drop) => `${formatAddress(drop.source)}: ${refusalOf(drop)}`));
    return [
      look("no-unexpected-packet-drops", "drops that no scenario expected", this.#unexpected),
      look("check-log-errors", "errors in the agent's log", this.#ground.errors),
    ];
  }
}
