// Events of the datapath's form, from its ring buffer into the ring of flows; and decoded, named (DNS too), counted in the default metrics and read by
// one follower that checks each flow's number and name. CPU time is the process's own, the producing program outside of it; the peers of these figures are the
// aims: 1,000,000 and 150,000 events in a second of one core.
import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { create } from "@bufbuild/protobuf";
import { flow, observer } from "@skep/api";
import { EVENT_SIZE } from "@skep/datapath";
import { DnsNames, FlowMetrics, Observer, type ObserverOptions, uuids, wallClock } from "@skep/flows";
import { openLinux } from "@skep/linux";
import { type App, load, type RingReader } from "@skep/machine";
import { buildDnsMessage, ipv4 } from "@skep/net";
import { readObject } from "@skep/object";
import { Registry } from "prom-client";
import { context } from "../packages/flows/test/fixtures.ts";
import { median, print } from "./_lines.ts";
import { compiled, needRoot } from "./_setup.ts";
import { startWorker } from "./_worker.ts";
import * as module from "./twins/flows.bpf.ts";

/** Fits into the ring of 8 MiB, 112 bytes each. */
const FILL = 60_000;
const ROW = 500;
const ROUNDS = 9;
const PACED_SECONDS = 3;
const TICK_MS = 5;
const METRICS = ["drop", "flow", "tcp", "icmp", "port-distribution", "policy"];

needRoot("flows");

type Made = App<typeof module>;

const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

function expectSame(found: number, wanted: number, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}

const sumOf = (app: Made, key: number): number => Number(app.maps.counts.get(key) ?? 0n);

/** The workload that opens connections has resolved the addresses of all that it opens them to (twins/flows.bpf.ts). */
function resolved(now: bigint): DnsNames {
  const dns = new DnsNames();
  for (let last = 0; last < 32; last++) {
    const name = `backend-${last}.example.com`;
    const answer = {
      name,
      type: 1,
      class: 1,
      ttl: 30,
      data: { kind: "A", address: ipv4(0x0a00_0200 | last) },
    } as const;
    const questions = [{ name, type: 1, class: 1 }];
    dns.learn({
      endpoint: 1,
      time: now,
      message: buildDnsMessage({ id: 1, response: true, questions, answers: [answer] }),
    });
  }
  return dns;
}

class Reading {
  looked = 0;
  followed = 0;
  gaps = 0;
  disorder = 0;
  /** Followed flows without the name that the destination has. */
  unnamed = 0;
  /** Places of the ring that told of losses. */
  told = 0;
  readonly flows: Observer;
  readonly reader: RingReader;
  readonly #stop = new AbortController();
  readonly #following: Promise<void> | null;

  constructor(app: Made, options: Partial<ObserverOptions> & { readonly counts: boolean; readonly follows: boolean }) {
    const clock = openLinux().clock;
    const policies = new Map(
      ["ingress", "egress"].map((name) => [name, [{ kind: "CNP", namespace: "d", name, labels: [], revision: 1n }]]),
    );
    const dns = resolved(BigInt(Math.round(clock.now() * 1e6)));
    const names = context({
      names: (address, endpoint, time) => dns.names(address, endpoint, time),
      wallTime: wallClock(clock),
      uuid: uuids(() => 1n),
      policies: ({ direction }) => policies.get(direction) ?? [],
    });
    const metrics = options.counts ? new FlowMetrics({ registry: new Registry(), metrics: METRICS }) : null;
    this.flows = new Observer({
      ...{ nodeName: "n", version: "0", now: () => BigInt(Math.round(clock.now() * 1e6)), context: names },
      capacity: 65_535,
      onFlow: (record) => {
        this.looked += 1;
        metrics?.add(record);
      },
      ...options,
    });
    const { flows } = this;
    this.reader = app.events.events.raw.readRingInPlace((view, at, length) => {
      if (length === EVENT_SIZE) flows.addEvent(view, at);
    });
    this.#following = options.follows ? this.#follow() : null;
  }

  async #follow(): Promise<void> {
    const request = create(observer.GetFlowsRequestSchema, { follow: true });
    let next = -1;
    for await (const { responseTypes } of this.flows.getFlows(request, this.#stop.signal)) {
      if (responseTypes.case === "lostEvents") {
        if (responseTypes.value.source !== flow.LostEventSource.HUBBLE_RING_BUFFER) {
          this.told += 1;
          continue;
        }
        this.gaps += Number(responseTypes.value.numEventsLost);
        next = -1;
      } else if (responseTypes.case === "flow") {
        this.followed += 1;
        const { destinationNames, IP } = responseTypes.value;
        if (destinationNames[0] !== `backend-${IP?.destination.slice(7)}.example.com`) this.unnamed += 1;
        const l4 = responseTypes.value.l4?.protocol;
        const number = l4?.case === "TCP" ? l4.value.sourcePort : -1;
        if (next >= 0 && number !== next) this.disorder += 1;
        next = (number + 1) & 0xffff;
      }
    }
  }

  /** Until all that was taken in was looked at, and followed. */
  async settled(): Promise<void> {
    const made = Number(this.flows.seen);
    while (this.looked + Number(this.flows.skipped) < made) await turn();
    while (this.#following && this.followed + this.gaps + this.told < this.flows.ring.next) await turn();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
    this.reader.close();
  }
}

function fill(app: Made, count: number): number {
  const before = sumOf(app, 1);
  app.programs.fill.test({ data: new Uint8Array(64), repeat: count });
  return sumOf(app, 1) - before;
}

/** Events a second of CPU. */
async function perCpuSecond(work: () => Promise<void> | void, events: number): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return events / ((user + system) / 1e6);
}

const line = (name: string, unit: string, value: number, aim: number | null = null): void =>
  print({ bench: "flows", case: name, unit, skep: value, peer: aim, peerName: aim === null ? null : "aim" });

async function intoRing(app: Made): Promise<void> {
  const reading = new Reading(app, { budgetMs: 0, counts: false, follows: false, capacity: 65_535 });
  const rates: number[] = [];
  for (let at = 0; at < ROUNDS; at++) {
    expectSame(fill(app, FILL), 0, "lost of a fill that fits");
    rates.push(await perCpuSecond(() => expectSame(reading.reader.drain(), FILL, "drained"), FILL));
    await reading.settled();
  }
  await reading.close();
  line("ring buffer to flow ring", "events/cpu-s", median(rates), 1_000_000);
}

/** In rows of 500, as they come where 150,000 a second do and the kernel wakes the reader every three milliseconds. */
async function whole(app: Made): Promise<void> {
  const reading = new Reading(app, { budgetMs: 1e6, counts: true, follows: true });
  const rates: number[] = [];
  for (let at = 0; at < ROUNDS; at++) {
    let seconds = 0;
    for (let made = 0; made < FILL; made += ROW) {
      expectSame(fill(app, ROW), 0, "lost of a fill that fits");
      const before = process.cpuUsage();
      reading.reader.drain();
      await reading.settled();
      const { user, system } = process.cpuUsage(before);
      seconds += (user + system) / 1e6;
    }
    rates.push(FILL / seconds);
  }
  expectSame(reading.followed, FILL * ROUNDS, "followed");
  expectSame(reading.looked, FILL * ROUNDS, "looked at");
  expectSame(reading.disorder, 0, "flows out of order");
  expectSame(reading.unnamed, 0, "flows without their name");
  await reading.close();
  line("decoded, named, counted and followed", "events/cpu-s", median(rates), 150_000);
}

async function overflow(app: Made): Promise<void> {
  const reading = new Reading(app, { budgetMs: 1, counts: true, follows: true, capacity: 4095 });
  const made = 400_000;
  const lost = fill(app, made);
  const drained = reading.reader.drain();
  await reading.settled();
  expectSame(drained + lost, made, "taken in and lost");
  expectSame(reading.looked + Number(reading.flows.skipped), drained, "looked at and skipped");
  expectSame(reading.followed + reading.gaps + reading.told, reading.flows.ring.next, "followed and missed");
  expectSame(reading.disorder, 0, "flows out of order");
  expectSame(reading.unnamed, 0, "flows without their name");
  await reading.close();
  line(`forced overflow of ${made}: lost in the ring buffer`, "events", lost);
  line("forced overflow: skipped by who looks", "events", Number(reading.flows.skipped));
  line("forced overflow: missed by the follower", "events", reading.gaps);
  line("forced overflow: unaccounted for", "events", made - lost - reading.looked - Number(reading.flows.skipped));
}

/** A thread makes events at a rate; all of them are taken in. Behind on a busy machine it makes more at once. */
async function paced(app: Made, producer: Worker, rate: number): Promise<void> {
  const counted = rate < 1_000_000;
  const reading = new Reading(app, { ...(counted ? {} : { budgetMs: 0 }), counts: counted, follows: counted });
  const lostBefore = sumOf(app, 1);
  reading.reader.start();
  const cpu = process.cpuUsage();
  const started = performance.now();
  const total = rate * PACED_SECONDS;
  let made = 0;
  while (made < total) {
    const due = Math.min(total, Math.floor(((performance.now() - started) / 1000) * rate));
    if (due > made) {
      const done = once(producer, "message");
      // oxlint-disable-next-line unicorn/require-post-message-target-origin
      producer.postMessage({ count: Math.min(due - made, 20_000) });
      made += Math.min(due - made, 20_000);
      await done;
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  const seconds = (performance.now() - started) / 1000;
  reading.reader.drain();
  await reading.settled();
  const used = process.cpuUsage(cpu);
  const lost = sumOf(app, 1) - lostBefore;
  expectSame(Number(reading.flows.seen) + lost, total, "taken in and lost");
  expectSame(reading.looked + Number(reading.flows.skipped), total - lost, "looked at and skipped");
  if (counted)
    expectSame(reading.followed + reading.gaps + reading.told, reading.flows.ring.next, "followed and missed");
  await reading.close();
  const what = counted ? "with all" : "into the flow ring";
  line(`${rate} a second for ${PACED_SECONDS} s ${what}: rate`, "events/s", total / seconds, rate);
  line(
    `${rate} a second ${what}: lost, skipped, missed`,
    "events",
    lost + (counted ? Number(reading.flows.skipped) + reading.gaps : 0),
  );
  line(`${rate} a second ${what}: CPU with the producer's`, "s/s", (used.user + used.system) / 1e6 / seconds);
}

const app = load(openLinux(), readObject(compiled("bench/twins/flows.bpf.ts")), { module });
const producer = startWorker("_producer.ts", { program: app.programs.fill.info.id });
try {
  await once(producer, "message");
  await intoRing(app);
  await whole(app);
  await overflow(app);
  await paced(app, producer, 1_000_000);
  await paced(app, producer, 150_000);
} finally {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  producer.postMessage({ count: 0 });
  app.close();
}
