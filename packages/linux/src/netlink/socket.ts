/**
 * @module
 * A netlink socket: requests with acknowledgement, dumps, multicast groups. Synchronous: the kernel answers rtnetlink and generic
 * netlink within the send.
 */
import {
  AF,
  bindSocket,
  type Descriptor,
  isErrno,
  MSG,
  openSocket,
  receive,
  sendTo,
  setNonBlocking,
  setSocketOption,
  SO,
  SOCK,
  SOL,
  SyscallError,
  type Watch,
  watchReadable,
} from "../sys/index.ts";
import { InterruptedDumpError, NetlinkError } from "./errors.ts";
import {
  type Acknowledgement,
  encodeBody,
  encodeMessage,
  flags,
  type Layout,
  type Message,
  messageHeaderSize,
  messageTypes,
  parseAcknowledgement,
  parseDone,
  parseMessages,
} from "./message.ts";
import { needCapability } from "../net/privilege.ts";
import { align } from "./codec.ts";

/** NETLINK_* protocols. */
export const protocols = { route: 0, sockDiag: 4, generic: 16 } as const;

const options = { addMembership: 1, capAck: 10, extAck: 11, strictCheck: 12 } as const;

export interface Request<H, A> {
  readonly type: number;
  /** Beyond NLM_F_REQUEST and NLM_F_ACK. */
  readonly flags?: number;
  readonly layout: Layout<H, A>;
  readonly header?: Partial<H>;
  readonly attributes?: A;
}

const EPERM = 1;

/** How often a dump is read anew when the table changed under it. */
const dumpAttempts = 20;

interface Answer {
  readonly messages: Message[];
  /** The kernel says that the table changed between two parts: objects may be missing or there twice. */
  readonly interrupted: boolean;
}

/** The first answer that was not interrupted. Throws `InterruptedDumpError` where none comes. */
export function uninterrupted(subject: string, read: () => Answer): Message[] {
  for (let attempt = 0; attempt < dumpAttempts; attempt++) {
    const { messages, interrupted } = read();
    if (!interrupted) return messages;
  }
  throw new InterruptedDumpError(`${subject}: the table changed during each of ${dumpAttempts} readings`);
}

/** An answer is immediate; if none comes something is wrong with the kernel's side, and waiting would hang the program. */
const answerSeconds = 5n;

export class NetlinkSocket {
  readonly #descriptor: Descriptor;
  #sequence = 0;
  #buffer = new Uint8Array(64 << 10);

  private constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  /** Opened in the network namespace that this thread is in; it stays there whatever the thread does later. */
  static open(protocol: number = protocols.route): NetlinkSocket {
    const descriptor = openSocket(AF.NETLINK, SOCK.RAW, protocol);
    try {
      for (const option of [options.capAck, options.extAck, options.strictCheck])
        setSocketOption(descriptor.fd, { level: SOL.NETLINK, option }, 1);
      const timeout = new Uint8Array(new BigInt64Array([answerSeconds, 0n]).buffer);
      setSocketOption(descriptor.fd, { level: SOL.SOCKET, option: SO.RCVTIMEO }, timeout);
      const address = new Uint8Array(12);
      address[0] = AF.NETLINK;
      bindSocket(descriptor.fd, address);
      return new NetlinkSocket(descriptor);
    } catch (error) {
      descriptor.close();
      throw error;
    }
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Sends and waits for the acknowledgement. Throws `NetlinkError`. */
  request<H, A>(request: Request<H, A>): void {
    this.#exchange(request, flags.ack);
  }

  /** Sends and gives the one message that answers. Throws `NetlinkError`. */
  get<H, A>(request: Request<H, A>): Message {
    const [answer] = this.#exchange(request, flags.ack).messages;
    if (!answer) throw new NetlinkError(this.#name(request), { errno: 0, message: "acknowledged without an answer" });
    return answer;
  }

  /** Every object of a table, read anew while it changed under the reading. */
  dump<H, A>(request: Request<H, A>): Message[] {
    return uninterrupted(this.#name(request), () => this.#exchange(request, flags.dump));
  }

  #name<H, A>(request: Request<H, A>): string {
    return `netlink(${request.layout.subject}, ${request.type})`;
  }

  #exchange<H, A>(request: Request<H, A>, mode: number): Answer {
    const sequence = (this.#sequence = (this.#sequence + 1) >>> 0);
    const payload = encodeBody(request.layout, request.header ?? {}, request.attributes ?? ({} as A));
    const bits = flags.request | mode | (request.flags ?? 0);
    sendTo(this.#descriptor.fd, encodeMessage({ type: request.type, flags: bits, sequence, payload }));
    const messages: Message[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of this.#receive(request)) {
        if (message.sequence !== sequence) continue;
        interrupted ||= (message.flags & flags.dumpInterrupted) !== 0;
        if (message.type === messageTypes.noop) continue;
        if (message.type > messageTypes.done) {
          messages.push(message);
          continue;
        }
        this.#check(
          request,
          payload,
          message.type === messageTypes.done ? parseDone(message) : parseAcknowledgement(message),
        );
        return { messages, interrupted };
      }
    }
  }

  #check<H, A>(request: Request<H, A>, payload: Uint8Array, acknowledgement: Acknowledgement): void {
    if (acknowledgement.errno === 0) return;
    // The kernel asks for the capability before anything else of a request that changes something (rtnetlink_rcv_msg, genl_rcv_msg).
    if (acknowledgement.errno === EPERM) needCapability(this.#name(request), "CAP_NET_ADMIN");
    const { offset } = acknowledgement;
    const start = align(request.layout.header.size);
    const inAttributes = (offset ?? 0) - messageHeaderSize - start;
    const path =
      inAttributes >= 0 ? request.layout.attributes.pathAt?.(payload.subarray(start), inAttributes) : undefined;
    throw new NetlinkError(this.#name(request), acknowledgement, path || null);
  }

  #receive<H, A>(request: Request<H, A>): Iterable<Message> {
    const datagram = this.#read(0);
    if (!datagram) throw new SyscallError(this.#name(request), 110, { detail: "(no answer)" });
    return parseMessages(datagram);
  }

  /** One datagram, whole; null where none came. */
  #read(mode: number): Uint8Array | null {
    for (;;) {
      try {
        const length = receive(this.#descriptor.fd, this.#buffer, mode | MSG.PEEK | MSG.TRUNC);
        if (length === null) return null;
        if (length > this.#buffer.length) this.#buffer = new Uint8Array(length);
        receive(this.#descriptor.fd, this.#buffer, mode);
        return this.#buffer.slice(0, length);
      } catch (error) {
        // A receive timeout turns SA_RESTART off (signal(7)).
        if (!isErrno(error, "EINTR")) throw error;
      }
    }
  }

  /**
   * Joins multicast groups and calls `onMessage` for each message that comes, in the event loop, until the watch is closed. The
   * kernel drops messages when the reader is slow; then `onLost` is called and the state must be read anew. The socket serves
   * for nothing else from here on.
   */
  watch(groups: readonly number[], onMessage: (message: Message) => void, onLost: () => void): Watch {
    for (const group of groups)
      setSocketOption(this.#descriptor.fd, { level: SOL.NETLINK, option: options.addMembership }, group);
    setNonBlocking(this.#descriptor.fd);
    let isOpen = true;
    let isReferenced = true;
    let inner: Watch;
    const drain = (): void => this.#drain(onMessage, onLost);
    const begin = (): void => {
      // libuv gives up on a descriptor with a pending error; here it is ENOBUFS, which the read takes away.
      inner = watchReadable(this.#descriptor, drain, () => {
        drain();
        if (isOpen && !this.#descriptor.isClosed) begin();
      });
      if (!isReferenced) inner.unref();
    };
    begin();
    return {
      close() {
        isOpen = false;
        inner.close();
      },
      ref() {
        isReferenced = true;
        inner.ref();
      },
      unref() {
        isReferenced = false;
        inner.unref();
      },
    };
  }

  /** Joins multicast groups, for `discard`. The socket serves for nothing else from here on. */
  join(groups: readonly number[]): void {
    for (const group of groups)
      setSocketOption(this.#descriptor.fd, { level: SOL.NETLINK, option: options.addMembership }, group);
  }

  /** Throws away the messages that have come; whether there were any, or the kernel has dropped some. */
  discard(): boolean {
    let found = false;
    const note = (): void => {
      found = true;
    };
    this.#drain(note, note);
    return found;
  }

  #drain(onMessage: (message: Message) => void, onLost: () => void): void {
    while (!this.#descriptor.isClosed) {
      let datagram: Uint8Array | null;
      try {
        datagram = this.#read(MSG.DONTWAIT);
      } catch (error) {
        if (!isErrno(error, "ENOBUFS")) throw error;
        onLost();
        continue;
      }
      if (!datagram) return;
      for (const message of parseMessages(datagram)) onMessage(message);
    }
  }
}
