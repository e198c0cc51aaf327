// Services at the socket, in the kernel: sockets of a process in a cgroup of its own, servers on the loopback interface.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe } from "vitest";
import { openLinux, unmountPins } from "@skep/linux";
import { openDatapath } from "../src/index.ts";
import { SMALL } from "./addresses.ts";
import { askersOf, occupy, socketSuite, type Answer, type SocketGround, type Where } from "./socket-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: services at the socket need root and BPF");

/** The process with the sockets. */
class Child {
  private readonly process = spawn(process.execPath, [fileURLToPath(new URL("socket-child.mjs", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  private readonly waiting = new Map<number, (answer: never) => void>();
  private last = 0;

  constructor(cgroup: string) {
    writeFileSync(join(cgroup, "cgroup.procs"), String(this.process.pid));
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      const { id, answer } = JSON.parse(line) as { id: number; answer: never };
      this.waiting.get(id)?.(answer);
      this.waiting.delete(id);
    });
  }

  call<T>(operation: string, values: object): Promise<T> {
    const id = ++this.last;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.process.stdin.write(`${JSON.stringify({ id, operation, ...values })}\n`);
    });
  }

  end(): void {
    this.process.stdin.end();
  }
}

let grounds = 0;

async function open(): Promise<SocketGround> {
  const folder = mkdtempSync(join(tmpdir(), "skep-socket-"));
  const machine = openLinux({ runFolder: folder });
  const pins = join(folder, "bpf");
  const name = `skep-socket-${process.pid}-${++grounds}`;
  const { path } = machine.processes.createCgroup(name);
  const datapath = openDatapath(machine, { pins, cgroup: path, ...SMALL });
  const child = new Child(path);
  const servers: { close(): void }[] = [];
  let key = 0;

  const serve = (kind: "udp" | "tcp", address: string, text: string): Promise<number> =>
    new Promise((resolve, reject) => {
      if (kind === "tcp") {
        // The client ends it, when it has read this.
        const server = createServer({ allowHalfOpen: false }, (socket) =>
          socket.on("error", () => undefined).write(text),
        );
        servers.push(server);
        server.on("error", reject).listen(0, address, () => {
          const at = server.address();
          resolve(at !== null && typeof at === "object" ? at.port : 0);
        });
        return;
      }
      const server = createSocket(address.includes(":") ? "udp6" : "udp4");
      servers.push(server);
      server.on("message", (_, from) => server.send(text, from.port, from.address));
      server.on("error", reject).bind(0, address, () => resolve(server.address().port));
    });

  return {
    datapath,
    serve,
    openUdp: async (family) => {
      const own = ++key;
      await child.call("open", { key: own, family });
      return {
        ask: (to) => child.call<Answer>("ask", { key: own, to }),
        connect: (to) => child.call<{ from: Where } | string>("connect", { key: own, to }),
        askPeer: () => child.call<Answer>("askPeer", { key: own }),
        problem: () => child.call<string>("problem", { key: own }),
        close: () => void child.call("close", { key: own }),
      };
    },
    askTcp: (to) => child.call<Answer>("tcp", { to }),
    holdTcp: async (to) => {
      const own = ++key;
      const held = await child.call<string>("hold", { key: own, to });
      return {
        text: held,
        problem: () => child.call<string>("problem", { key: own }),
        close: () => void child.call("release", { key: own }),
      };
    },
    endLost: (kind) => datapath.endLost([machine.net.host], kind),
    askersOf: (port) => askersOf(machine.bpf, pins, port),
    occupy: (isTaken) => occupy(machine.bpf, pins, isTaken),
    pause: () => new Promise((resolve) => setTimeout(resolve, 25)),
    bind: (kind, at) => child.call<string>("bind", { kind, at }),
    close: async () => {
      child.end();
      for (const server of servers) server.close();
      datapath.destroy();
      unmountPins(pins);
      await machine.processes.deleteCgroup(name);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describe.skipIf(!privileged)("with root", () => {
  socketSuite("services at the socket, in the kernel", open);
});
