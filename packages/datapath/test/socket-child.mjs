// Sockets on demand: a line of JSON in, a line out. Started in the cgroup whose sockets are balanced.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { createInterface } from "node:readline";

const WAIT = 300;
const sockets = new Map();
/** What sockets were told beside their questions. */
const problems = new Map();
const where = (address, port) => ({ address, port });
const typeOf = (family) => (family === 6 ? { type: "udp6" } : { type: "udp4" });

function answerOf(socket, send) {
  return new Promise((resolve) => {
    const done = (answer) => {
      clearTimeout(timer);
      socket.removeAllListeners("message");
      socket.off("error", failed);
      resolve(answer);
    };
    const failed = (error) => done(error.code);
    const timer = setTimeout(() => done("ETIMEDOUT"), WAIT);
    socket.on("message", (data, from) => done({ text: String(data), from: where(from.address, from.port) }));
    socket.on("error", failed);
    send((error) => error && done(error.code));
  });
}

const operations = {
  open: ({ key, family }) =>
    new Promise((resolve) => {
      const socket = createSocket(typeOf(family));
      sockets.set(key, socket);
      socket.on("error", (error) => problems.set(key, error.code));
      socket.bind(0, () => resolve("open"));
    }),
  ask: ({ key, to }) => {
    const socket = sockets.get(key);
    return answerOf(socket, (done) => socket.send("?", to.port, to.address, done));
  },
  /** Gives the peer that the socket is told. */
  connect: ({ key, to }) =>
    new Promise((resolve) => {
      const socket = sockets.get(key);
      socket.connect(to.port, to.address, (error) => {
        if (error) return resolve(error.code);
        const { address, port } = socket.remoteAddress();
        resolve({ text: "", from: where(address, port) });
      });
    }),
  askPeer: ({ key }) => {
    const socket = sockets.get(key);
    return answerOf(socket, (done) => socket.send("?", done));
  },
  close: ({ key }) => {
    sockets.get(key).close();
    sockets.delete(key);
    return "closed";
  },
  tcp: ({ to }) =>
    new Promise((resolve) => {
      const socket = connect(to.port, to.address);
      socket.setTimeout(WAIT, () => socket.destroy(Object.assign(new Error(), { code: "ETIMEDOUT" })));
      socket.on("data", (data) => {
        const from = where(socket.remoteAddress, socket.remotePort);
        socket.destroy();
        resolve({ text: String(data), from });
      });
      socket.on("error", (error) => resolve(error.code));
    }),
  hold: ({ key, to }) =>
    new Promise((resolve) => {
      const socket = connect(to.port, to.address);
      sockets.set(key, socket);
      socket.on("data", (data) => resolve(String(data)));
      socket.on("error", (error) => {
        problems.set(key, error.code);
        resolve(error.code);
      });
    }),
  release: ({ key }) => {
    sockets.get(key).destroy();
    sockets.delete(key);
    return "closed";
  },
  problem: ({ key }) => {
    const problem = problems.get(key) ?? "";
    problems.delete(key);
    return problem;
  },
  bind: ({ kind, at }) =>
    kind === "udp"
      ? new Promise((resolve) => {
          const socket = createSocket(typeOf(at.address.includes(":") ? 6 : 4));
          socket.on("error", (error) => {
            socket.close();
            resolve(error.code);
          });
          socket.bind(at.port, at.address, () => socket.close(() => resolve("bound")));
        })
      : import("node:net").then(
          ({ createServer }) =>
            new Promise((resolve) => {
              const server = createServer();
              server.on("error", (error) => resolve(error.code));
              server.listen(at.port, at.address, () => server.close(() => resolve("bound")));
            }),
        ),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, operation, ...rest } = JSON.parse(line);
  process.stdout.write(`${JSON.stringify({ id, answer: await operations[operation](rest) })}\n`);
}
