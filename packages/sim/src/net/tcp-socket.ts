/**
 * @module
 * A TCP socket before it is a connection: made, bound, listening or connecting, with the hooks of its cgroup on the way.
 */
import { formatAddress } from "@skep/net";
import { SimError } from "../error.ts";
import type { Segment } from "./segment.ts";
import { type Endpoint, isAny, onWire, Sock, STATE, shownTo } from "./sock.ts";
import { OP, runSockOps, setState } from "./sock-ops.ts";
import { bindSock, checkDestination, nameOf, runRelease, runSockAddr } from "./socket-hooks.ts";
import type { TcpLayer } from "./tcp.ts";
import type { TcpConnection } from "./tcp-connection.ts";
import { getOption, setOption, type SocketOption } from "./sock-options.ts";

export class TcpSocket {
  readonly sock: Sock;
  readonly #layer: TcpLayer;
  #onConnection: ((connection: TcpConnection) => void) | null = null;
  #connection: TcpConnection | null = null;
  #isOpen = true;

  constructor(layer: TcpLayer, sock: Sock) {
    this.#layer = layer;
    this.sock = sock;
  }

  get isListening(): boolean {
    return this.#onConnection !== null;
  }

  /** What getsockname shows. */
  get name(): Endpoint {
    return nameOf(this.sock, "getsockname");
  }

  /** setsockopt and getsockopt, past the cgroup's programs. Throw what the kernel or a program answers. */
  setOption(which: SocketOption, value: Uint8Array): void {
    setOption(this.sock, which, value);
  }
  option(which: SocketOption, size = 4): Uint8Array {
    return getOption(this.sock, which, size);
  }

  /** What getpeername shows. Throws ENOTCONN. */
  get peer(): Endpoint {
    return nameOf(this.sock, "getpeername");
  }

  /** Throws EINVAL, EADDRINUSE, EADDRNOTAVAIL, or what a program answers. `port` 0: any. */
  bind(to: Endpoint): void {
    bindSock(this.sock, to, (port) => this.#layer.take(this, port));
  }

  #autobind(): void {
    const { sock } = this;
    if (sock.local.port === 0) sock.local = { ...sock.local, port: this.#layer.take(this, 0) };
  }

  listen(onConnection: (connection: TcpConnection) => void): void {
    this.#autobind();
    this.#onConnection = onConnection;
    this.sock.state = STATE.listen;
    runSockOps(this.sock, OP.listen);
  }

  /** Resolves when the connection is open. Rejects as `TcpLayer.connect` does. */
  async connect(to: Endpoint, options: { readonly timeout?: number } = {}): Promise<TcpConnection> {
    const { sock } = this;
    if (sock.family < to.address.family) throw new SimError("EAFNOSUPPORT", formatAddress(to.address));
    const answer = runSockAddr(sock, "connect", { ...to, address: shownTo(sock.family, to.address) });
    const remote = { address: onWire(answer.address), port: answer.port };
    checkDestination(remote);
    const source = this.#layer.stack.sourceFor(remote.address);
    if (!source) throw new SimError("ENETUNREACH", `connecting to ${formatAddress(remote.address)}`);
    if (isAny(sock.local.address)) sock.local = { ...sock.local, address: source };
    this.#autobind();
    sock.local = { ...sock.local, address: onWire(sock.local.address) };
    sock.remote = remote;
    const connection = this.#layer.make(sock, () => this.#over());
    this.#connection = connection;
    return this.#wait(connection, to, options.timeout);
  }

  #wait(connection: TcpConnection, to: Endpoint, timeout: number | undefined): Promise<TcpConnection> {
    return new Promise((resolve, reject) => {
      const { clock } = this.sock.namespace.network.simulation;
      const expire = (): void =>
        connection.fail(new SimError("ETIMEDOUT", `connecting to ${formatAddress(to.address)}`));
      const cancel = timeout === undefined ? () => undefined : clock.after(timeout, expire);
      connection.whenOpen((error) => {
        cancel();
        if (error) reject(error);
        else resolve(connection);
      });
      connection.open();
    });
  }

  /** A connection request for this listener. */
  accept(of: { readonly local: Endpoint; readonly remote: Endpoint; readonly segment: Segment }): void {
    const { namespace, cgroup, family } = this.sock;
    const child = new Sock({ namespace, cgroup, family, kind: "tcp" });
    child.local = of.local;
    child.remote = of.remote;
    child.state = STATE.synReceived;
    child.mark = this.sock.mark;
    child.priority = this.sock.priority;
    child.callbacks = this.sock.callbacks;
    // The request is no full socket yet (net/ipv4/tcp_input.c: tcp_conn_request).
    child.state = STATE.newSynReceived;
    for (const op of [OP.receiveWindowInit, OP.timeoutInit, OP.needsEcn]) runSockOps(child, op, { isFull: false });
    child.state = STATE.synReceived;
    const connection = this.#layer.make(child, () => closeSock(child));
    connection.whenOpen((error) => {
      if (!error) this.#onConnection?.(connection);
    });
    connection.accept(of.segment);
  }

  /** The connection is over, and with it the socket. */
  #over(): void {
    this.#connection = null;
    this.close();
  }

  /** A connection that is open is ended in order. */
  close(): void {
    if (this.#connection) {
      this.#connection.close();
      return;
    }
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#onConnection = null;
    this.#layer.giveBack(this);
    closeSock(this.sock);
  }
}

/** The socket goes, whether it was made or accepted. */
function closeSock(sock: Sock): void {
  runRelease(sock);
  setState(sock, STATE.close);
  sock.close();
}
