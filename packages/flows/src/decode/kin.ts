/**
 * @module
 * What flows have in common that differ only in time, number and ports. Their names are looked up once, and their messages are copies of one.
 */
import type { flow } from "@skep/api";
import { type DatapathEvent, decodeEventAt, EVENT_SIZE } from "@skep/datapath";
import type { EndpointInfo, FlowContext, ServiceName } from "./context.ts";
import { buildFlow, serviceOf } from "./flow.ts";
import { withPorts } from "./layer4.ts";
import { factsOf, type FlowRecord, isIp } from "./record.ts";
import { EventType } from "../names/event-types.ts";

const WORDS = EVENT_SIZE / 4;
/** Kin that are remembered: a place for each, and who comes takes it. */
const PLACES = 2048;
/** Of an event's words: lengths, times and ports say nothing of the kin, the padding at the end nothing at all. */
const [KIND, LENGTH, PORTS, LAST, LAST_MASK]: readonly [number, number, number, number, number] = [
  2, 9, 18, 25, 0xffff,
];
const SECOND = 1_000_000_000;
const NANOSECONDS = 1_000_000_000n;
const CARRY = 0x1_0000_0000;

type Names = readonly string[];

/** Who keeps something for each kin has a table by {@link place}, and looks whether it is still the same. */
export interface FlowKin {
  /** Small, and different for all that are remembered at a time. */
  readonly place: number;
  readonly source: EndpointInfo | null;
  readonly destination: EndpointInfo | null;
}

const sameNames = (a: Names, b: Names): boolean =>
  a === b || (a.length === b.length && a.every((name, at) => name === b[at]));

class Kin implements FlowKin {
  readonly place: number;
  readonly epoch: number;
  readonly source: EndpointInfo | null;
  readonly destination: EndpointInfo | null;
  /** What the others' messages are copies of. */
  readonly example: flow.Flow;
  readonly event: DatapathEvent;
  readonly sourceNames: Names;
  readonly destinationNames: Names;
  readonly isIp: boolean;
  /** The name of its interface was not known. */
  readonly isUnnamed: boolean;

  constructor(place: number, { event, context, epoch }: { event: DatapathEvent; context: FlowContext; epoch: number }) {
    const facts = factsOf(event, context, event.time);
    this.place = place;
    this.epoch = epoch;
    this.source = facts.source;
    this.destination = facts.destination;
    // Ports may be of a service: each flow has its own.
    this.example = buildFlow(event, { ...facts, sourceService: null, destinationService: null }, "");
    this.event = event;
    this.sourceNames = facts.sourceNames;
    this.destinationNames = facts.destinationNames;
    this.isIp = isIp(event);
    this.isUnnamed = event.interfaceIndex !== 0 && facts.interfaceName === "";
  }

  /** Whether what may change within an epoch is as it was. */
  holds(context: FlowContext, { time }: FlowRecord): boolean {
    const { event } = this;
    if (this.isUnnamed && context.interfaceName(event.interfaceIndex) !== "") return false;
    if (!this.isIp) return true;
    return (
      sameNames(this.sourceNames, context.names(event.source, event.destinationEndpoint, time)) &&
      sameNames(this.destinationNames, context.names(event.destination, event.sourceEndpoint, time))
    );
  }
}

let lastSeconds = -1;
let lastBig = 0n;

/** Most flows are of the same second as the one before. */
function bigSeconds(seconds: number): bigint {
  if (seconds !== lastSeconds) [lastSeconds, lastBig] = [seconds, BigInt(seconds)];
  return lastBig;
}

/** One flow of the ring whose kin is known. */
class KinRecord implements FlowRecord {
  readonly kin: Kin;
  readonly sequence: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Of the source, and above it of the destination. */
  readonly #ports: number;
  readonly #context: FlowContext;
  readonly #sourceService: ServiceName | null;
  readonly #destinationService: ServiceName | null;
  #flow: flow.Flow | null = null;

  constructor(kin: Kin, context: FlowContext, place: EventPlace) {
    const { words, at } = place;
    const ports = words[at + PORTS]!;
    this.kin = kin;
    this.sequence = place.sequence;
    const low = words[at]!;
    // In numbers: the quotient may be one off, the rest modulo 2^32 tells.
    let seconds = Math.floor((words[at + 1]! * CARRY + low) / SECOND);
    let nanoseconds = (low - Math.imul(seconds, SECOND)) | 0;
    if (nanoseconds < 0) [seconds, nanoseconds] = [seconds - 1, nanoseconds + SECOND];
    else if (nanoseconds >= SECOND) [seconds, nanoseconds] = [seconds + 1, nanoseconds - SECOND];
    this.seconds = seconds;
    this.nanoseconds = nanoseconds;
    this.#ports = ((ports & 0xff00ff) << 8) | ((ports >>> 8) & 0xff00ff);
    this.#context = context;
    const { event, isIp: ip } = kin;
    this.#sourceService = ip ? context.service(event.source, this.sourcePort, event.protocol) : null;
    this.#destinationService = ip ? context.service(event.destination, this.destinationPort, event.protocol) : null;
  }

  get sourcePort(): number {
    return this.#ports & 0xffff;
  }

  get destinationPort(): number {
    return this.#ports >>> 16;
  }

  get time(): bigint {
    return bigSeconds(this.seconds) * NANOSECONDS + BigInt(this.nanoseconds);
  }

  get nodeName(): string {
    return this.kin.example.nodeName;
  }

  get source(): EndpointInfo | null {
    return this.kin.source;
  }

  get destination(): EndpointInfo | null {
    return this.kin.destination;
  }

  get flow(): flow.Flow {
    return (this.#flow ??= this.#make());
  }

  #make(): flow.Flow {
    const { example } = this.kin;
    const made: flow.Flow = {
      ...example,
      time: { $typeName: "google.protobuf.Timestamp", seconds: bigSeconds(this.seconds), nanos: this.nanoseconds },
      uuid: this.#context.uuid(this.sequence),
    };
    if (example.l4) made.l4 = withPorts(example.l4, this.sourcePort, this.destinationPort);
    if (this.#sourceService) made.sourceService = serviceOf(this.#sourceService);
    if (this.#destinationService) made.destinationService = serviceOf(this.#destinationService);
    return made;
  }
}

/** Where an event lies: from a word on, with the wall's time. */
export interface EventPlace {
  readonly words: Uint32Array;
  readonly at: number;
  readonly sequence: number;
}

/** Records of events, by what was last seen of their kin. */
export class KinTable {
  readonly #kin: (Kin | null)[] = Array.from({ length: PLACES }, () => null);
  /** The events by which the kin are known. */
  readonly #known = new Uint32Array(PLACES * WORDS);

  /** `context`: of the epoch. */
  record(place: EventPlace, context: FlowContext, epoch: number): FlowRecord {
    const { words, at } = place;
    const index = hashOf(words, at) & (PLACES - 1);
    const known = this.#kin[index]!;
    if (known !== null && known.epoch === epoch && this.#isSame(index * WORDS, words, at)) {
      const record = new KinRecord(known, context, place);
      if (known.holds(context, record)) return record;
    }
    return new KinRecord(this.#meet(index, place, { context, epoch }), context, place);
  }

  #meet(index: number, { words, at }: EventPlace, given: { context: FlowContext; epoch: number }): Kin {
    const event = decodeEventAt(new DataView(words.buffer, words.byteOffset), at * 4);
    this.#known.set(words.subarray(at, at + WORDS), index * WORDS);
    return (this.#kin[index] = new Kin(index, { event, ...given }));
  }

  #isSame(from: number, words: Uint32Array, at: number): boolean {
    const known = this.#known;
    for (let word = KIND; word < LAST; word++) {
      if (word === LENGTH || word === PORTS) continue;
      if (known[from + word] !== words[at + word]) return false;
    }
    if (((known[from + LAST]! ^ words[at + LAST]!) & LAST_MASK) !== 0) return false;
    // Which entry of a policy has matched depends on the destination's port.
    return !isVerdict(words[at + KIND]!) || known[from + PORTS]! >>> 16 === words[at + PORTS]! >>> 16;
  }
}

const isVerdict = (kind: number): boolean => (kind & 0xff) === EventType.policyVerdict;

function hashOf(words: Uint32Array, at: number): number {
  let hash = 0;
  for (let word = KIND; word < LAST; word++) {
    if (word !== LENGTH && word !== PORTS) hash = Math.imul(hash ^ words[at + word]!, 0x9e37_79b1) ^ (hash >>> 15);
  }
  if (isVerdict(words[at + KIND]!)) hash ^= words[at + PORTS]! >>> 16;
  hash = Math.imul(hash ^ (hash >>> 15), 0x85eb_ca6b);
  return hash ^ (hash >>> 13);
}
