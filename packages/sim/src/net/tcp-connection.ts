import { SimError } from "../error.ts";
import { type Endpoint, type Sock, STATE } from "./sock.ts";
import { messageWay, streamWays, type Way } from "./sock-map.ts";
import { CALLBACK, OP, runSockOps, setState } from "./sock-ops.ts";
import { nameOf, runRelease } from "./socket-hooks.ts";
import { FLAG, type Segment } from "./segment.ts";
import type { TcpLayer } from "./tcp.ts";

/** TCP_TIMEOUT_INIT, TCP_RTO_MIN, TCP_RTO_MAX in milliseconds; tcp_syn_retries, tcp_retries2. */
const RTO = { first: 1000, least: 200, most: 120_000 } as const;
const TRIES = { syn: 6, data: 15 } as const;
const WINDOW = 65_535;
const TIME_WAIT_MS = 60_000;
/** TCP_INIT_CWND */
const INITIAL_WINDOW = 10;

type State =
  "closed" | "syn-sent" | "syn-received" | "established" | "fin-wait" | "close-wait" | "last-ack" | "time-wait";

/** As programs see it. */
const NUMBERS: Readonly<Record<State, number>> = {
  closed: STATE.close,
  "syn-sent": STATE.synSent,
  "syn-received": STATE.synReceived,
  established: STATE.established,
  "fin-wait": STATE.finWait1,
  "close-wait": STATE.closeWait,
  "last-ack": STATE.lastAck,
  "time-wait": STATE.timeWait,
};

/** Distance of two sequence numbers, signed. */
const distance = (from: number, to: number): number => (to - from) | 0;

interface Sent {
  readonly segment: Segment;
  readonly end: number;
}

/** One end of a connection. */
export class TcpConnection {
  readonly local: Endpoint;
  /** Where its packets go: behind a service it is the backend. */
  readonly remote: Endpoint;
  readonly sock: Sock;
  /** This end opened it. */
  isActive = false;
  /** Data in order, as it arrives. */
  onData: ((data: Uint8Array) => void) | null = null;
  /** The other end sends no more; or the connection broke. Once. */
  onEnd: ((error: Error | null) => void) | null = null;
  /** Segments that were sent again. */
  retransmissions = 0;
  readonly #layer: TcpLayer;
  #state: State = "closed";
  #sendNext: number;
  #sendUna: number;
  #receiveNext = 0;
  readonly #unacknowledged: Sent[] = [];
  readonly #queue: Uint8Array[] = [];
  readonly #early = new Map<number, Segment>();
  #finQueued = false;
  #ended = false;
  #tries = 0;
  #rto: number = RTO.first;
  #timer: (() => void) | null = null;
  #onOpen: ((error: Error | null) => void) | null = null;
  readonly #counts = { segmentsIn: 0, dataSegmentsIn: 0, segmentsOut: 0, dataSegmentsOut: 0 };
  /** Of a stream that a program parses: the message that is not whole yet. */
  readonly #held = { bytes: new Uint8Array(0) };
  readonly #onForgotten: (() => void) | undefined;

  constructor(options: {
    readonly layer: TcpLayer;
    readonly sock: Sock;
    readonly local: Endpoint;
    readonly remote: Endpoint;
    /** Once, when the connection is over. */
    readonly onForgotten?: () => void;
  }) {
    this.#layer = options.layer;
    this.sock = options.sock;
    this.#onForgotten = options.onForgotten;
    this.local = options.local;
    this.remote = options.remote;
    this.#sendNext = options.sock.namespace.network.simulation.random.next();
    this.#sendUna = this.#sendNext;
    this.sock.facts = () => ({
      ...{ congestionWindow: INITIAL_WINDOW, receiveNext: this.#receiveNext, sendNext: this.#sendNext },
      ...{ sendUnacknowledged: this.#sendUna, packetsOut: this.#unacknowledged.length },
      ...{ segmentSize: this.#layer.segmentSize(this.remote.address), totalRetransmissions: this.retransmissions },
      ...this.#counts,
    });
    this.sock.redirected = {
      send: (data) => this.#enqueue(data),
      receive: (data) => this.onData?.(data),
    };
  }

  get state(): State {
    return this.#state;
  }

  #become(state: State): void {
    this.#state = state;
    setState(this.sock, NUMBERS[state]);
  }

  /** What getpeername shows: a service's address where the socket asked for one. */
  get peer(): Endpoint {
    return nameOf(this.sock, "getpeername");
  }

  /** What getsockname shows. */
  get name(): Endpoint {
    return nameOf(this.sock, "getsockname");
  }

  whenOpen(run: (error: Error | null) => void): void {
    this.#onOpen = run;
  }

  open(): void {
    this.isActive = true;
    this.#become("syn-sent");
    // net/ipv4/tcp_output.c: tcp_connect and tcp_connect_init.
    for (const op of [OP.connect, OP.receiveWindowInit, OP.timeoutInit, OP.needsEcn]) runSockOps(this.sock, op);
    this.#transmit(FLAG.syn);
  }

  accept(syn: Segment): void {
    this.#become("syn-received");
    this.#receiveNext = (syn.sequence + 1) >>> 0;
    this.#transmit(FLAG.syn | FLAG.ack);
  }

  write(data: Uint8Array | string): void {
    if (this.#finQueued || !["established", "close-wait", "syn-sent", "syn-received"].includes(this.#state))
      throw new SimError("ENOTCONN", "writing");
    this.#go(messageWay(this.sock, typeof data === "string" ? new TextEncoder().encode(data) : data.slice()), "send");
  }

  #enqueue(data: Uint8Array): void {
    this.#queue.push(data);
    this.#push();
  }

  /** Data on the way that a program chose: of this connection's sending or receiving side, or of another's. */
  #go(way: Way, side: "send" | "receive"): void {
    if (way.kind === "drop") return;
    if (way.kind !== "pass") way.sock.redirected?.[way.kind](way.data);
    else if (side === "send") this.#enqueue(way.data);
    else this.onData?.(way.data);
  }

  /** Sends no more. */
  end(): void {
    if (this.#finQueued || this.#state === "closed") return;
    this.#finQueued = true;
    this.#push();
  }

  /** Its process is done with it: it ends in order. */
  close(): void {
    runRelease(this.sock);
    this.end();
  }

  /** Ends at once, with a reset. */
  abort(error = new SimError("ECONNRESET", "aborted")): void {
    if (this.#state === "closed") return;
    this.#bare(FLAG.rst | FLAG.ack);
    this.fail(error);
  }

  /** Ends without a word: the namespace is gone. */
  vanish(): void {
    this.#finish();
  }

  fail(error: Error): void {
    const onOpen = this.#onOpen;
    this.#onOpen = null;
    this.#finish();
    if (onOpen) onOpen(error);
    else this.#tellEnd(error);
  }

  /** An ICMP error: it ends what is not open yet; an open connection goes on trying (RFC 5461). */
  problem(error: Error): void {
    if (this.#state === "syn-sent" || this.#state === "syn-received") this.fail(error);
  }

  #finish(): void {
    if (this.#state === "closed") return;
    this.#become("closed");
    this.#timer?.();
    this.#timer = null;
    this.#layer.forget(this);
    this.#onForgotten?.();
  }

  #tellEnd(error: Error | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd?.(error);
  }

  // ---- sending ----

  #bare(flags: number): void {
    this.#counts.segmentsOut += 1;
    this.#layer.send(this.sock, this, {
      ...{ flags, sequence: this.#sendNext, acknowledgment: this.#receiveNext, data: new Uint8Array(0) },
    });
  }

  /** A segment that has to be acknowledged. */
  #transmit(flags: number, data = new Uint8Array(0)): void {
    const segment = { flags, sequence: this.#sendNext, acknowledgment: this.#receiveNext, data };
    const length = data.length + ((flags & (FLAG.syn | FLAG.fin)) !== 0 ? 1 : 0);
    this.#sendNext = (this.#sendNext + length) >>> 0;
    this.#unacknowledged.push({ segment, end: this.#sendNext });
    this.#layer.send(this.sock, this, segment);
    this.#counts.segmentsOut += 1;
    if (data.length > 0) this.#counts.dataSegmentsOut += 1;
    if (!this.#timer) this.#arm();
  }

  /** As much of the queue as the window takes. */
  #push(): void {
    if (this.#state !== "established" && this.#state !== "close-wait") return;
    const size = this.#layer.segmentSize(this.remote.address);
    while (this.#queue.length > 0 && distance(this.#sendUna, this.#sendNext) < WINDOW - size) {
      const chunk = this.#queue[0] ?? new Uint8Array(0);
      if (chunk.length > size) this.#queue[0] = chunk.subarray(size);
      else this.#queue.shift();
      this.#transmit(FLAG.ack | FLAG.psh, chunk.slice(0, size));
    }
    if (this.#queue.length > 0 || !this.#finQueued) return;
    this.#become(this.#state === "close-wait" ? "last-ack" : "fin-wait");
    this.#transmit(FLAG.fin | FLAG.ack);
  }

  #arm(): void {
    this.#timer?.();
    const { clock } = this.sock.namespace.network.simulation;
    this.#timer = clock.after(this.#rto, () => this.#again());
  }

  #again(): void {
    const [first] = this.#unacknowledged;
    this.#timer = null;
    if (!first) return;
    const isSyn = (first.segment.flags & FLAG.syn) !== 0;
    this.#tries += 1;
    if (this.#tries > (isSyn ? TRIES.syn : TRIES.data)) {
      this.fail(new SimError("ETIMEDOUT", "the other end does not answer"));
      return;
    }
    this.retransmissions += 1;
    const { callbacks } = this.sock;
    if ((callbacks & CALLBACK.timeout) !== 0) runSockOps(this.sock, OP.timeout, { args: [this.#tries, this.#rto, 0] });
    if ((callbacks & CALLBACK.retransmit) !== 0)
      runSockOps(this.sock, OP.retransmit, { args: [first.segment.sequence, 1, 0] });
    this.#rto = Math.min(this.#rto * 2, RTO.most);
    this.#layer.send(this.sock, this, { ...first.segment, acknowledgment: this.#receiveNext });
    this.#arm();
  }

  // ---- receiving ----

  receive(segment: Segment): void {
    const { flags } = segment;
    this.#counts.segmentsIn += 1;
    if (this.#state === "syn-sent") {
      this.#receiveAnswer(segment);
      return;
    }
    if ((flags & FLAG.rst) !== 0) {
      if (segment.sequence === this.#receiveNext) this.fail(new SimError("ECONNRESET", "the other end reset it"));
      return;
    }
    if ((flags & FLAG.syn) !== 0) {
      // Our answer was lost, or this is an old one: what we have is said again.
      if (this.#state === "syn-received") this.#again();
      else this.#bare(FLAG.ack);
      return;
    }
    if ((flags & FLAG.ack) !== 0) this.#acknowledged(segment.acknowledgment);
    if (this.#state === "closed") return;
    if (segment.data.length > 0 || (flags & FLAG.fin) !== 0) this.#take(segment);
    this.#push();
  }

  #receiveAnswer({ flags, sequence, acknowledgment }: Segment): void {
    const isOurs = acknowledgment === this.#sendNext;
    if ((flags & FLAG.rst) !== 0) {
      if ((flags & FLAG.ack) !== 0 && isOurs) this.fail(new SimError("ECONNREFUSED", "nobody listens"));
      return;
    }
    if ((flags & (FLAG.syn | FLAG.ack)) !== (FLAG.syn | FLAG.ack) || !isOurs) return;
    this.#receiveNext = (sequence + 1) >>> 0;
    this.#become("established");
    runSockOps(this.sock, OP.activeEstablished);
    this.#acknowledged(acknowledgment);
    this.#bare(FLAG.ack);
    this.#opened();
    this.#push();
  }

  #opened(): void {
    const onOpen = this.#onOpen;
    this.#onOpen = null;
    onOpen?.(null);
  }

  #acknowledged(number: number): void {
    if (distance(this.#sendUna, number) <= 0 || distance(number, this.#sendNext) < 0) return;
    this.#sendUna = number;
    while (this.#unacknowledged[0] && distance(this.#unacknowledged[0].end, number) >= 0) this.#unacknowledged.shift();
    this.#tries = 0;
    this.#rto = RTO.least;
    this.#timer?.();
    this.#timer = null;
    if (this.#unacknowledged.length > 0) this.#arm();
    if (this.#state === "syn-received") {
      runSockOps(this.sock, OP.passiveEstablished);
      this.#become("established");
      this.#opened();
    } else if (this.#state === "fin-wait" && this.#unacknowledged.length === 0 && this.#queue.length === 0) {
      setState(this.sock, STATE.finWait2);
    } else if (this.#state === "last-ack" && this.#unacknowledged.length === 0) this.#finish();
  }

  #take(segment: Segment): void {
    const ahead = distance(this.#receiveNext, segment.sequence);
    if (ahead > 0) this.#early.set(segment.sequence, segment);
    else if (ahead === 0) this.#inOrder(segment);
    for (let next = this.#early.get(this.#receiveNext); next; next = this.#early.get(this.#receiveNext)) {
      this.#early.delete(next.sequence);
      this.#inOrder(next);
    }
    if (this.#state !== "closed") this.#bare(FLAG.ack);
  }

  #inOrder({ data, flags }: Segment): void {
    this.#receiveNext = (this.#receiveNext + data.length) >>> 0;
    if (data.length > 0) {
      this.#counts.dataSegmentsIn += 1;
      for (const way of streamWays(this.sock, data, this.#held)) this.#go(way, "receive");
    }
    if ((flags & FLAG.fin) === 0) return;
    this.#receiveNext = (this.#receiveNext + 1) >>> 0;
    if (this.#state === "established") this.#become("close-wait");
    else if (this.#state === "fin-wait") this.#waitOut();
    this.#tellEnd(null);
  }

  /** TIME-WAIT: old segments may still be under way. */
  #waitOut(): void {
    // The socket is closed, what waits is a smaller one (net/ipv4/tcp_minisocks.c: tcp_time_wait).
    setState(this.sock, STATE.close);
    this.#state = "time-wait";
    this.#timer?.();
    const { clock } = this.sock.namespace.network.simulation;
    this.#timer = clock.after(TIME_WAIT_MS, () => this.#finish());
  }
}
