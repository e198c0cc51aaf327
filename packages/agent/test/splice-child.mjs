// Sockets of a workload on demand: a line of JSON in, a line out. Started in its namespace and cgroup.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

const received = createHash("sha256");
let bytes = 0;
let peer = null;

function follow(socket) {
  peer = socket;
  socket.setNoDelay(true);
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    received.update(data);
    bytes += data.length;
  });
}

const operations = {
  serve: ({ port, family }) =>
    new Promise((resolve) =>
      createServer(follow).listen(port, family === 6 ? "::" : "0.0.0.0", () => resolve("listening")),
    ),
  connect: ({ address, port, from }) =>
    new Promise((resolve) => {
      const own = from ? { localAddress: from.address, localPort: from.port } : {};
      const socket = connect({ host: address, port, ...own }, () => resolve("connected"));
      socket.once("error", (error) => resolve(error.code));
      follow(socket);
    }),
  /** The connection's own end. */
  end: () => Promise.resolve({ address: peer.localAddress, port: peer.localPort }),
  /** Takes others' addresses as well. */
  take({ addresses }) {
    execFileSync("ip", ["link", "set", "lo", "up"]);
    for (const address of addresses) {
      const isIpv6 = address.includes(":");
      execFileSync("ip", ["addr", "add", `${address}/${isIpv6 ? 128 : 32}`, "dev", "lo", ...(isIpv6 ? ["nodad"] : [])]);
    }
    return Promise.resolve("taken");
  },
  connected: () => Promise.resolve(peer !== null),
  /** Bytes that count up from `from`, in pieces of odd sizes. */
  async send({ from, count }) {
    for (let at = 0, size = 1; at < count; at += size) {
      size = Math.min(1 + ((at * 7) % 30_011), count - at);
      const start = from + at;
      const piece = Buffer.from(Uint8Array.from({ length: size }, (_, index) => (start + index) % 251));
      await new Promise((resolve) => peer.write(piece, resolve));
    }
    return "sent";
  },
  received: () => Promise.resolve({ bytes, digest: received.copy().digest("hex") }),
};

async function answer(line) {
  const { id, operation, ...values } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id, answer: await operations[operation](values) })}\n`);
}

createInterface({ input: process.stdin })
  .on("line", (line) => void answer(line))
  .on("close", () => process.exit(0));
