/**
 * @module
 * What runs inside the example's workloads: `server NAME` is a deathstar, `pilot` sends what it is told to on standard input and
 * answers with one JSON line per order, `both NAME` does both.
 */
import dgram from "node:dgram";
import http from "node:http";
import net from "node:net";
import readline from "node:readline";
import { landed, SEEN_AS } from "./theatre.ts";

export interface Order {
  readonly id: number;
  /**
   * `request`: one HTTP request on a connection of its own. `hold`: opens a connection that stays, `beat` asks over it again.
   * `datagram`: one datagram and its answer.
   * `stream`: opens an endless answer of numbered lines; `streamed` tells how many came, and what was wrong with them.
   */
  readonly kind: "request" | "datagram" | "hold" | "beat" | "stream" | "streamed";
  readonly host: string;
  readonly port: number;
  readonly timeout: number;
  /** Local address of a `request`; default the one of the route. */
  readonly from?: string;
  /** Bytes of the answer to a `request` or a `datagram`; default a line. */
  readonly size?: number;
}

export interface Answer {
  readonly id: number;
  readonly ok: boolean;
  /** What the server said, or the errno. */
  readonly text: string;
  /** What getpeername shows. */
  readonly peer?: string;
  /** The address that the server saw. */
  readonly seenAs?: string;
}

/** The second port is open and in no policy: what reaches it is not the rule's doing. */
const PORTS = [80, 8080];

function serve(name: string, families: readonly ("0.0.0.0" | "::")[] = ["0.0.0.0"]): void {
  for (const port of PORTS) for (const host of families) listen(name, port, host);
}

function listen(name: string, port: number, host: "0.0.0.0" | "::"): void {
  http
    .createServer((request, response) => {
      if (request.url === "/stream") {
        stream(response);
        return;
      }
      response.setHeader("connection", request.headers.connection ?? "close");
      response.setHeader(SEEN_AS, request.socket.remoteAddress ?? "");
      response.end(landed(name, sizeIn(request.url)));
    })
    .listen({ port, host, ipv6Only: host === "::" });
}

const sizeIn = (path = ""): number => Number(/^\/large\/(\d+)$/.exec(path)?.[1] ?? 0);

/** Answers each datagram, whose text is the size that is wanted. */
function serveDatagrams(name: string): void {
  for (const port of PORTS)
    for (const type of ["udp4", "udp6"] as const) {
      const socket = dgram.createSocket({ type, ipv6Only: type === "udp6" });
      socket.on("message", (data, from) => {
        socket.send(landed(name, Number(data.toString("utf8"))), from.port, from.address, () => undefined);
      });
      socket.bind(port);
    }
}

/** Asks again: what is told how long its packets may be says it once more. */
const ASK_AGAIN_MS = 300;

function datagram(order: Order): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = dgram.createSocket(order.host.includes(":") ? "udp6" : "udp4");
    const finish = (ok: boolean, text: string): void => {
      clearInterval(again);
      clearTimeout(end);
      socket.close();
      resolve({ id: order.id, ok, text });
    };
    const ask = (): void => socket.send(String(order.size ?? 0), order.port, order.host, () => undefined);
    const again = setInterval(ask, ASK_AGAIN_MS);
    const end = setTimeout(() => finish(false, "ETIMEDOUT"), order.timeout);
    socket.on("error", (error: NodeJS.ErrnoException) => finish(false, error.code ?? error.message));
    socket.on("message", (data) => finish(true, data.toString("utf8").trim()));
    if (order.from === undefined) ask();
    else socket.bind({ address: order.from }, ask);
  });
}

/** A numbered line every 10 ms, until the reader goes. */
function stream(response: http.ServerResponse): void {
  let number = 0;
  const timer = setInterval(() => response.write(`${number++}\n`), 10);
  response.on("close", () => clearInterval(timer));
}

function request(order: Order): Promise<Answer> {
  return new Promise((resolve) => {
    let peer: string | undefined;
    const answer = (ok: boolean, text: string, seenAs?: string | string[]): void =>
      resolve({ id: order.id, ok, text, ...(peer ? { peer } : {}), ...(seenAs ? { seenAs: String(seenAs) } : {}) });
    const call = http.get(
      {
        host: order.host,
        port: order.port,
        path: order.size === undefined ? "/v1/request-landing" : `/large/${order.size}`,
        agent: false,
        timeout: order.timeout,
        localAddress: order.from,
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (body += chunk));
        const seenAs = response.headers[SEEN_AS];
        response.on("end", () => answer(response.statusCode === 200, body.trim(), seenAs));
      },
    );
    call.on("socket", (socket) =>
      socket.once("connect", () => (peer = `${socket.remoteAddress}:${socket.remotePort}`)),
    );
    call.on("timeout", () => call.destroy(Object.assign(new Error("timed out"), { code: "ETIMEDOUT" })));
    call.on("error", (error: NodeJS.ErrnoException) => answer(false, error.code ?? error.message));
  });
}

/** One kept connection per pilot; a `beat` asks over it again. */
class Held {
  #socket: net.Socket | undefined;

  open(order: Order): Promise<Answer> {
    this.#socket?.destroy();
    const socket = net.connect({ host: order.host, port: order.port });
    this.#socket = socket;
    return new Promise((resolve) => {
      socket.once("connect", () => resolve({ id: order.id, ok: true, text: "open" }));
      socket.once("error", (error: NodeJS.ErrnoException) =>
        resolve({ id: order.id, ok: false, text: error.code ?? error.message }),
      );
      socket.setTimeout(order.timeout, () => resolve({ id: order.id, ok: false, text: "ETIMEDOUT" }));
    });
  }

  beat(order: Order): Promise<Answer> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      if (!socket || socket.destroyed) {
        resolve({ id: order.id, ok: false, text: "closed" });
        return;
      }
      const timer = setTimeout(() => resolve({ id: order.id, ok: false, text: "ETIMEDOUT" }), order.timeout);
      socket.once("data", (data) => {
        clearTimeout(timer);
        resolve({ id: order.id, ok: true, text: data.toString("utf8").split("\r\n")[0] ?? "" });
      });
      socket.write("GET / HTTP/1.1\r\nhost: deathstar\r\nconnection: keep-alive\r\n\r\n");
    });
  }
}

/** Reads a stream and minds its sequence. */
class Stream {
  #lines = 0;
  #trouble = "";

  open(order: Order): Promise<Answer> {
    return new Promise((resolve) => {
      const call = http.get({ host: order.host, port: order.port, path: "/stream", agent: false }, (response) => {
        const lines = readline.createInterface({ input: response });
        // The server's end is told of by the response's own close.
        lines.on("error", () => undefined);
        lines.on("line", (line) => {
          if (Number(line) !== this.#lines) this.#trouble ||= `${line} after ${this.#lines - 1}`;
          this.#lines += 1;
        });
        response.on("close", () => (this.#trouble ||= "closed"));
        resolve({ id: order.id, ok: true, text: "open" });
      });
      call.on("error", (error: NodeJS.ErrnoException) => {
        this.#trouble ||= error.code ?? error.message;
        resolve({ id: order.id, ok: false, text: this.#trouble });
      });
    });
  }

  report(order: Order): Promise<Answer> {
    return Promise.resolve({ id: order.id, ok: this.#trouble === "", text: this.#trouble || String(this.#lines) });
  }
}

function pilot(): void {
  const held = new Held();
  const stream = new Stream();
  const actions: Record<Order["kind"], (order: Order) => Promise<Answer>> = {
    request,
    datagram,
    hold: (order) => held.open(order),
    beat: (order) => held.beat(order),
    stream: (order) => stream.open(order),
    streamed: (order) => stream.report(order),
  };
  const run = (order: Order): Promise<Answer> => actions[order.kind](order);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    void run(JSON.parse(line) as Order).then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
  });
  // The example is gone: nobody is left to fly for.
  lines.on("close", () => process.exit(0));
}

const [role, name] = process.argv.slice(2);
if (role === "server") serve(name ?? "deathstar");
else if (role === "pilot") pilot();
else if (role === "both") {
  pilot();
  serve(name ?? "deathstar", ["0.0.0.0", "::"]);
  serveDatagrams(name ?? "deathstar");
} else {
  process.stderr.write("usage: demo-workload server NAME | pilot | both NAME\n");
  process.exit(2);
}
