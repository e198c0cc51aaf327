// What runs inside the workloads of the live test. `server`: answers each line, and streams numbered lines to whoever asks for them.
// `client HOST PORT STREAMS`: keeps streams open and minds their sequence, asks short questions one after another, and tells what it saw
// when its standard input ends.
import { readFileSync } from "node:fs";
import net from "node:net";
import readline from "node:readline";

const STREAM_MS = 10;
const ANSWER_MS = 5000;
/** Pause between two short connections. */
const PAUSE_MS = 2;

function serve(name) {
  net
    .createServer((socket) => {
      let timer;
      socket.on("error", () => socket.destroy());
      socket.on("close", () => clearInterval(timer));
      readline.createInterface({ input: socket }).on("line", (line) => {
        if (line === "stream") {
          let number = 0;
          timer = setInterval(() => socket.write(`${number++}\n`), STREAM_MS);
        } else socket.end(`${line} ${name}\n`);
      });
    })
    .listen(80, "0.0.0.0", () => process.stdout.write("listening\n"));
}

/** Counters of the workload's own namespace: `TcpExt` of /proc/net/netstat and `Tcp` of /proc/net/snmp. */
function tcpCounters() {
  const counters = {};
  for (const [file, group] of [
    ["netstat", "TcpExt:"],
    ["snmp", "Tcp:"],
  ]) {
    const [names, values] = readFileSync(`/proc/self/net/${file}`, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(group))
      .map((line) => line.split(" ").slice(1));
    names.forEach((name, at) => (counters[name] = Number(values[at])));
  }
  return counters;
}

function openStream(host, port, seen) {
  const socket = net.connect({ host, port });
  const stream = { lines: 0, trouble: "" };
  seen.push(stream);
  socket.on("connect", () => socket.write("stream\n"));
  socket.on("error", (error) => (stream.trouble ||= error.code ?? error.message));
  socket.on("close", () => (stream.trouble ||= "closed"));
  readline.createInterface({ input: socket }).on("line", (line) => {
    if (Number(line) !== stream.lines) stream.trouble ||= `${line} after ${stream.lines - 1}`;
    stream.lines += 1;
  });
}

function ask(host, port, question) {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    let text = "";
    socket.setEncoding("utf8").setTimeout(ANSWER_MS, () => socket.destroy(new Error("ETIMEDOUT")));
    socket.on("connect", () => socket.write(`${question}\n`));
    socket.on("data", (data) => (text += data));
    socket.on("error", (error) => resolve({ error: error.code ?? error.message }));
    socket.on("close", () => {
      const [echoed, server] = text.trim().split(" ");
      resolve(echoed === question ? { server } : { error: `answered "${text.trim()}"` });
    });
  });
}

async function load(host, port, count) {
  const streams = [];
  const servers = {};
  const failures = [];
  let answered = 0;
  const before = tcpCounters();
  for (let n = 0; n < count; n++) openStream(host, port, streams);
  process.stdin.resume();
  process.stdout.write("loading\n");
  for (let n = 0; !process.stdin.readableEnded; n++) {
    const { server, error } = await ask(host, port, `q${n}`);
    if (error) failures.push(`${n}: ${error}`);
    else {
      answered += 1;
      servers[server] = (servers[server] ?? 0) + 1;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  const after = tcpCounters();
  const grown = (name) => after[name] - before[name];
  process.stdout.write(
    `${JSON.stringify({
      answered,
      failures,
      servers,
      streams,
      timeouts: grown("TCPTimeouts"),
      twice: grown("TCPDSACKRecv"),
      retransmitted: grown("RetransSegs"),
      resetsReceived: grown("EstabResets"),
    })}\n`,
  );
  process.exit(0);
}

const [role, ...args] = process.argv.slice(2);
if (role === "server") serve(args[0]);
else await load(args[0], Number(args[1]), Number(args[2]));
