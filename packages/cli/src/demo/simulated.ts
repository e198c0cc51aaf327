/**
 * @module
 * The example on the simulated machine: the same agent, the same programs in user space, workloads in this process, virtual time. Two plays with
 * one seed are the same, byte for byte.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, agentPageRoutes, createLogger, flowContext, type PageOptions } from "@skep/agent";
import { flow } from "@skep/api";
import { DnsNames, jsonLine, Observer, recordOf } from "@skep/flows";
import { formatAddress, parseAddress } from "@skep/net";
import {
  type Cgroup,
  openSim,
  type SimMachine,
  type SimNamespace,
  type TcpConnection,
  type UdpSocket,
} from "@skep/sim";
import { VERSION } from "../version.ts";
import { landed, type Labels, type Player, SEEN_AS, type SeenFlow, type Theatre } from "./theatre.ts";
import type { Answer, Order } from "./workload.ts";

/** What an agent on a real folder takes to see a change. */
const NOTICE_MS = 50;
const PORTS = [80, 8080];
/** Between two questions of `until`. */
const ASK_MS = 50;

export interface Place {
  readonly namespace: SimNamespace;
  readonly cgroup: Cgroup | null;
}

/** How far behind the clock on the wall a play begins that is to go on with it. */
const HEAD_START_MS = 60_000;
/** Steps of time once it goes on as it passes. */
const PACE_MS = 40;

/** `live`: once it has been played, its time is the time on the wall. */
export function openSimulatedTheatre(seed: number, live = false): Theatre {
  return new SimulatedTheatre(openSim({ seed, ...(live ? { epoch: Date.now() - HEAD_START_MS } : {}) }));
}

export class SimulatedTheatre implements Theatre {
  readonly invitation = null;
  readonly #machine: SimMachine;
  readonly #folder = mkdtempSync(join(tmpdir(), "skep-sim-"));
  readonly #policies = join(this.#folder, "policies");
  #agent: Agent | undefined;
  #reader: { close(): void } | undefined;
  readonly #flows: Observer;
  /** Names that workloads have resolved. */
  readonly #dns = new DnsNames();

  constructor(machine: SimMachine) {
    this.#machine = machine;
    const now = (): bigint => BigInt(Math.round(machine.clock.now() * 1_000_000));
    this.#flows = new Observer({ nodeName: "default/endor", version: VERSION, now });
  }

  get page(): PageOptions["routes"] {
    return agentPageRoutes(this.#running, this.#flows, { dns: this.#dns });
  }

  async stay(signal: AbortSignal): Promise<void> {
    const { simulation, clock } = this.#machine;
    while (!signal.aborted) {
      await simulation.pass(Math.max(0, Date.now() - clock.now()));
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
  }

  get #running(): Agent {
    if (!this.#agent) throw new Error("the agent is not up");
    return this.#agent;
  }

  open(documents: Labels, onFlow: (flow: SeenFlow) => void): Promise<void> {
    mkdirSync(this.#policies);
    for (const [name, text] of Object.entries(documents)) writeFileSync(join(this.#policies, name), text);
    this.#agent = new Agent({
      ...{ machine: this.#machine, directory: this.#policies, run: this.#folder, state: join(this.#folder, "state") },
      ...{
        pins: "/sys/fs/bpf/skep",
        cgroup: "skep",
        podCidr: "10.244.0.0/16",
        podCidr6: "fd00:10:244::/112",
        serviceCidr: "10.96.0.0/16",
      },
      ...{ nodeName: "endor", watch: false },
      log: createLogger({ write: () => undefined, now: () => this.#machine.clock.now(), format: "json" }),
    });
    const { random } = this.#machine.simulation;
    const context = flowContext(
      this.#agent,
      () => (BigInt(random.next()) << 48n) | (BigInt(random.next()) << 16n) | (BigInt(random.next()) & 0xffffn),
      this.#dns,
    );
    this.#reader = this.#agent.datapath.readEvents(
      (event) => {
        const record = recordOf(event, context);
        this.#flows.add(record);
        const line = jsonLine(flow.FlowSchema, record.flow);
        onFlow(JSON.parse(line) as SeenFlow);
      },
      (answer) => this.#dns.learn({ ...answer, time: context.wallTime(answer.time) }),
    );
    return Promise.resolve();
  }

  #join(name: string, labels: Labels): Place {
    const { endpoint, record } = this.#running.createEndpoint({ namespace: "default", name, labels });
    const namespace = this.#machine.net.openNamespace(record.netns);
    if (!namespace) throw new Error(`the namespace of ${endpoint.name} is gone`);
    this.#machine.processes.start(record.cgroup);
    return { namespace, cgroup: this.#machine.processes.cgroup(this.#running.cgroupPath(record)) };
  }

  server(name: string, labels: Labels): void {
    const { namespace, cgroup } = this.#join(name, labels);
    for (const port of PORTS) namespace.stack.tcp.listen({ port, cgroup }, (connection) => serve(name, connection));
  }

  pilot(name: string, labels: Labels): Player {
    return new SimulatedPilot(name, this.#join(name, labels), this.#machine);
  }

  writePolicy(name: string, text: string): void {
    writeFileSync(join(this.#policies, name), text);
    this.#machine.clock.after(NOTICE_MS, () => this.#running.rescan());
  }

  addressOf(workload: string): Promise<string> {
    const endpoint = this.#running.world.findEndpoint("default", workload);
    if (!endpoint) throw new Error(`no endpoint ${workload}`);
    return Promise.resolve(formatAddress(endpoint.address));
  }

  now(): number {
    return this.#machine.clock.now();
  }

  async until<T>(ms: number, ask: () => Promise<T | null> | T | null): Promise<T | null> {
    const end = this.now() + ms;
    for (;;) {
      const answer = await ask();
      if (answer !== null) return answer;
      if (this.now() >= end) return null;
      await this.#machine.simulation.sleep(ASK_MS);
    }
  }

  run<T>(play: Promise<T>): Promise<T> {
    return this.#machine.simulation.run(play);
  }

  async close(): Promise<void> {
    this.#reader?.close();
    if (this.#agent) {
      for (const { endpoint } of this.#agent.endpoints()) await this.#agent.removeEndpoint(endpoint);
      this.#agent.datapath.destroy();
      this.#agent.close();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const decode = (data: Uint8Array): string => new TextDecoder().decode(data);

/** A deathstar: one answer to each request. */
export function serve(name: string, connection: TcpConnection): void {
  let text = "";
  connection.onData = (data) => {
    text += decode(data);
    for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
      const stays = /\r\nconnection: keep-alive/i.test(text.slice(0, end));
      const size = /^GET \/large\/(\d+) /.exec(text)?.[1];
      const body = landed(name, Number(size ?? 0));
      text = text.slice(end + 4);
      const seenAs = `${SEEN_AS}: ${formatAddress(connection.remote.address)}`;
      connection.write(`HTTP/1.1 200 OK\r\n${seenAs}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      if (!stays) connection.end();
    }
  };
  connection.onEnd = () => connection.end();
}

/** Answers each datagram, whose text is the size that is wanted. */
export function serveDatagrams(name: string, socket: UdpSocket): void {
  socket.onDatagram = ({ data, from }) =>
    socket.send(new TextEncoder().encode(landed(name, Number(decode(data)))), from);
}

export class SimulatedPilot implements Player {
  readonly name: string;
  readonly #place: Place;
  readonly #machine: SimMachine;
  #held: TcpConnection | null = null;
  #next = 1;

  constructor(name: string, place: Place, machine: SimMachine) {
    this.name = name;
    this.#place = place;
    this.#machine = machine;
  }

  async order(
    kind: Order["kind"],
    host: string,
    options: {
      readonly port?: number;
      readonly timeout?: number;
      readonly from?: string;
      readonly size?: number;
    } = {},
  ): Promise<Answer> {
    const { port = 80, timeout = 1000, from, size } = options;
    const id = this.#next++;
    try {
      if (kind === "datagram") return { id, ...(await this.#datagram(host, { port, timeout, size: size ?? 0 })) };
      if (kind === "hold") {
        this.#held = await this.#connect(host, { port, timeout });
        return { id, ok: true, text: "open" };
      }
      if (kind === "beat") {
        const answer = this.#held ? await this.#ask(this.#held, { timeout, stays: true }) : null;
        return answer === null
          ? { id, ok: false, text: "ETIMEDOUT" }
          : { id, ok: true, text: answer.split("\r\n")[0] ?? "" };
      }
      const connection = await this.#connect(host, { port, timeout, ...(from === undefined ? {} : { from }) });
      const { peer } = connection;
      const answer = await this.#ask(connection, { timeout, stays: false, ...(size ? { size } : {}) });
      const shown = `${formatAddress(peer.address)}:${peer.port}`;
      if (answer === null) return { id, ok: false, text: "ETIMEDOUT", peer: shown };
      return {
        id,
        ok: answer.startsWith("HTTP/1.1 200"),
        text: (answer.split("\r\n\r\n")[1] ?? "").trim(),
        peer: shown,
        seenAs: answer.split(`${SEEN_AS}: `)[1]?.split("\r\n")[0] ?? "",
      };
    } catch (error) {
      return { id, ok: false, text: (error as { code?: string }).code ?? String(error) };
    }
  }

  #connect(host: string, options: { port: number; timeout: number; from?: string }): Promise<TcpConnection> {
    const address = parseAddress(host);
    if (!address) throw new Error(`${host} is no address`);
    const { port, timeout, from } = options;
    const { namespace, cgroup } = this.#place;
    const local = from === undefined ? null : parseAddress(from);
    if (!local) return namespace.stack.tcp.connect({ address, port }, { cgroup, timeout });
    const socket = namespace.stack.tcp.socket({ family: local.family, cgroup });
    socket.bind({ address: local, port: 0 });
    return socket.connect({ address, port }, { timeout });
  }

  async #datagram(
    host: string,
    { port, timeout, size }: { port: number; timeout: number; size: number },
  ): Promise<{ ok: boolean; text: string }> {
    const address = parseAddress(host);
    if (!address) throw new Error(`${host} is no address`);
    const { namespace, cgroup } = this.#place;
    const socket = namespace.stack.udp.open({ family: address.family, cgroup });
    try {
      socket.send(new TextEncoder().encode(String(size)), { address, port });
      const answer = await socket.receive(timeout);
      return answer ? { ok: true, text: decode(answer.data).trim() } : { ok: false, text: "ETIMEDOUT" };
    } finally {
      socket.close();
    }
  }

  /** Null when the time is over. */
  #ask(
    connection: TcpConnection,
    { timeout, stays, size }: { timeout: number; stays: boolean; size?: number },
  ): Promise<string | null> {
    return new Promise((resolve) => {
      let text = "";
      const finish = (answer: string | null): void => {
        cancel();
        connection.onData = null;
        if (!stays) connection.end();
        resolve(answer);
      };
      const cancel = this.#machine.clock.after(timeout, () => finish(null));
      connection.onData = (data) => {
        text += decode(data);
        const length = /content-length: (\d+)\r\n\r\n/.exec(text);
        if (length && text.length >= length.index + length[0].length + Number(length[1])) finish(text);
      };
      const header = stays ? "keep-alive" : "close";
      const path = size === undefined ? "/v1/request-landing" : `/large/${size}`;
      connection.write(`GET ${path} HTTP/1.1\r\nhost: deathstar\r\nconnection: ${header}\r\n\r\n`);
    });
  }
}
