// Bytes in bulk, there and back: a line of JSON in, a line out. Everything that comes to its port is sent back as it is.
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

const PORT = 8080;
const AGAIN_MS = 1000;
const PATIENCE_MS = 20_000;

/** Bytes that differ everywhere, by a number. */
function made(length, seed) {
  const blocks = [];
  for (let at = 0; at * 32 < length; at++) blocks.push(createHash("sha256").update(`${seed} ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

function tcp({ host, port, from, bytes }) {
  return new Promise((resolve) => {
    const sent = made(bytes, port);
    const got = [];
    let count = 0;
    const socket = connect({ host, port, ...(from ? { localAddress: from } : {}) }, () => socket.write(sent));
    const done = (text) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(() => done(`${count} of ${bytes} came back`), PATIENCE_MS);
    socket.on("error", ({ code }) => done(code));
    socket.on("data", (data) => {
      got.push(data);
      count += data.length;
      if (count >= bytes) done(Buffer.concat(got).equals(sent) ? "same" : "other bytes came back");
    });
  });
}

/** One datagram after another, of these lengths; one that is not answered is sent again. */
function udp({ host, port, from, lengths }) {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    let at = 0;
    const done = (text) => {
      clearTimeout(timer);
      clearInterval(again);
      socket.close();
      resolve(text);
    };
    const send = () => socket.send(made(lengths[at], at), port, host);
    const timer = setTimeout(() => done(`${at} of ${lengths.length} came back`), PATIENCE_MS);
    const again = setInterval(send, AGAIN_MS);
    socket.on("error", ({ code }) => done(code));
    socket.on("message", (data) => {
      // An answer to what was sent twice.
      if (!data.equals(made(lengths[at], at))) return;
      at += 1;
      if (at === lengths.length) done("same");
      else send();
    });
    socket.bind({ port: 0, ...(from ? { address: from } : {}) }, send);
  });
}

function serve(ready) {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(PORT, "::", () => {
    let left = 2;
    for (const type of ["udp4", "udp6"]) {
      const socket = createSocket({ type, ...(type === "udp6" ? { ipv6Only: true } : {}) });
      socket.on("message", (data, from) => socket.send(data, from.port, from.address));
      socket.bind(PORT, () => --left === 0 && ready());
    }
  });
}

async function follow(line) {
  const order = JSON.parse(line);
  process.stdout.write(`${await (order.kind === "tcp" ? tcp(order) : udp(order))}\n`);
}

serve(() => {
  process.stdout.write("up\n");
  createInterface({ input: process.stdin })
    .on("line", (line) => void follow(line))
    .on("close", () => process.exit(0));
});
