/**
 * Where a machine fires the cgroup hooks of sockets, in which order, with which arguments, and what their answers do: one suite for every
 * machine. An implementation hands it sockets of its own in a cgroup of its own; all traffic goes over `lo` of one namespace.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile } from "@skep/compiler";
import { formatAddress, parseAddress } from "@skep/net";
import type { ObjectSpec } from "@skep/object";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type App, load, type Machine } from "../src/index.ts";
import * as module from "./hooks.bpf.ts";

/** A socket as a process has it. Addresses with ports are texts such as `127.0.0.1:80` and `[::1]:80`. Errors carry `code`. */
export interface TestSocket {
  /** What user space puts into maps for it. */
  readonly descriptor: number;
  bind(to: string): void;
  listen(): void;
  connect(to: string): Promise<void>;
  accept(): Promise<TestSocket>;
  send(text: string, to?: string): void;
  /** Null where nothing comes. */
  receive(): Promise<{ readonly text: string; readonly from: string } | null>;
  name(): string;
  peer(): string;
  close(): void;
}

export interface SocketGround {
  readonly machine: Pick<Machine, "bpf">;
  /** Absolute path of the cgroup that the sockets are in. */
  readonly cgroup: string;
  /** Path of the file of the namespace that the sockets are in. */
  readonly namespace: string;
  socket(kind: "tcp" | "udp", family: 4 | 6): TestSocket;
  /** In another cgroup. */
  stranger(kind: "tcp" | "udp", family: 4 | 6): TestSocket;
  /** What is under way arrives. */
  settle(): Promise<void>;
  /** Removes everything. */
  close(): void | Promise<void>;
}

export const endpointText = (bytes: Uint8Array, port: number): string => {
  const text = formatAddress({ family: bytes.length === 4 ? 4 : 6, bytes });
  return bytes.length === 4 ? `${text}:${port}` : `[${text}]:${port}`;
};

export function endpointOf(text: string): {
  readonly address: NonNullable<ReturnType<typeof parseAddress>>;
  readonly port: number;
} {
  const found = /^(?:\[(.*)\]|(.*)):(\d+)$/.exec(text);
  const address = parseAddress(found?.[1] ?? found?.[2] ?? "");
  if (!address) throw new Error(`${text} is no endpoint`);
  return { address, port: Number(found?.[3]) };
}

const NAMES = [
  ...["", "create", "release", "bind4", "bind6", "post_bind4", "post_bind6", "connect4", "connect6"],
  ...["sendmsg4", "sendmsg6", "recvmsg4", "recvmsg6", "getpeername4", "getpeername6", "getsockname4", "getsockname6"],
];
const FAMILIES: Readonly<Record<number, string>> = { 0: "-", 2: "inet", 10: "inet6" };
const KINDS: Readonly<Record<string, string>> = { "1 6": "tcp", "2 17": "udp" };

interface Rewrite {
  /** Default 1: allowed. */
  readonly verdict?: number;
  readonly errno?: number;
  readonly to?: string;
}

/** The code of what `run` throws. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
  return "nothing thrown";
}

/** A `Seen`. */
function textOf(record: Uint8Array): string {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const word = (at: number): number => view.getUint32(at * 4, true);
  const hook = NAMES[word(0)] ?? `hook ${word(0)}`;
  const kind = KINDS[`${word(3)} ${word(4)}`] ?? `${word(3)} ${word(4)}`;
  const family = FAMILIES[word(1)] ?? `family ${word(1)}`;
  const users = FAMILIES[word(2)] ?? `family ${word(2)}`;
  const address = new DataView(new ArrayBuffer(hook.endsWith("4") ? 4 : 16));
  for (let at = 0; at < address.byteLength; at += 4) address.setUint32(at, word(hook.endsWith("4") ? 5 : 6 + at / 4));
  const where = /\d$/.test(hook) ? ` ${endpointText(new Uint8Array(address.buffer), word(10))}` : "";
  const state = hook.startsWith("post_bind") ? ` state ${word(11)}` : "";
  return `${hook} ${users === "-" ? family : `${family}/${users}`} ${kind}${where}${state}`;
}

export function hooksSuite(name: string, open: () => SocketGround): void {
  describe(name, () => {
    let ground: SocketGround;
    let app: App<typeof module>;
    let spec: ObjectSpec;
    const sockets: TestSocket[] = [];
    const links: { close(): void }[] = [];

    beforeAll(() => {
      const path = fileURLToPath(new URL("./hooks.bpf.ts", import.meta.url));
      const compiled = compile(path, { readFile: (file) => readFileSync(file, "utf8") });
      if (!compiled.spec) throw new Error(compiled.diagnostics.map(({ message }) => message).join("\n"));
      ({ spec } = compiled);
    });
    beforeEach(() => {
      ground = open();
      app = load(ground.machine, spec, { module });
      for (const program of Object.values(app.programs))
        links.push(app.attach(program, { hook: "cgroup", path: ground.cgroup }));
    });
    afterEach(async () => {
      for (const socket of sockets.splice(0)) socket.close();
      for (const link of links.splice(0)) link.close();
      app.close();
      await ground.close();
    });

    const keep = (socket: TestSocket): TestSocket => {
      sockets.push(socket);
      return socket;
    };
    const socket = (kind: "tcp" | "udp", family: 4 | 6): TestSocket => keep(ground.socket(kind, family));
    const stranger = (kind: "tcp" | "udp", family: 4 | 6): TestSocket => keep(ground.stranger(kind, family));

    /** What was seen since the last time. */
    function seen(): string[] {
      const found: string[] = [];
      const reader = app.collection.maps["seen"]!.readRing((record) => found.push(textOf(record)));
      reader.drain();
      reader.close();
      return found;
    }

    function rule(hook: string, { verdict = 1, errno = 0, to }: Rewrite): void {
      const { address, port } = to === undefined ? { address: null, port: 0 } : endpointOf(to);
      const view = address && new DataView(address.bytes.buffer, address.bytes.byteOffset);
      const word = (at: number): number => (address?.family === 6 ? (view?.getUint32(at * 4) ?? 0) : 0);
      app.maps.rules.set(NAMES.indexOf(hook), {
        ...{ verdict, errno, port, rewrite: address === null ? 0 : address.family === 4 ? 1 : 2 },
        ...{ ip4: address?.family === 4 ? (view?.getUint32(0) ?? 0) : 0 },
        ...{ w0: word(0), w1: word(1), w2: word(2), w3: word(3) },
      });
    }

    describe("UDP", () => {
      test("bound, sending, receiving and closing: every hook in its order", async () => {
        const server = socket("udp", 4);
        server.bind("127.0.0.1:7001");
        const client = socket("udp", 4);
        client.send("a", "127.0.0.1:7001");
        expect((await server.receive())?.text).toBe("a");
        client.close();
        expect(seen()).toEqual([
          "create inet udp",
          "bind4 inet/inet udp 127.0.0.1:7001",
          "post_bind4 inet udp 127.0.0.1:7001 state 7",
          "create inet udp",
          "sendmsg4 inet/inet udp 127.0.0.1:7001",
          expect.stringMatching(/^recvmsg4 inet\/inet udp 127.0.0.1:\d+$/) as string,
          "release inet udp",
        ]);
      });

      test("IPv6 has hooks of its own", async () => {
        const server = socket("udp", 6);
        server.bind("[::1]:7002");
        const client = socket("udp", 6);
        client.send("a", "[::1]:7002");
        expect((await server.receive())?.text).toBe("a");
        expect(seen()).toEqual([
          "create inet6 udp",
          "bind6 inet6/inet6 udp [::1]:7002",
          "post_bind6 inet6 udp [::1]:7002 state 7",
          "create inet6 udp",
          "sendmsg6 inet6/inet6 udp [::1]:7002",
          expect.stringMatching(/^recvmsg6 inet6\/inet6 udp \[::1\]:\d+$/) as string,
        ]);
      });

      test("a mapped address is IPv4's when it is sent to, and IPv6's when it is shown", async () => {
        const server = socket("udp", 6);
        server.bind("[::]:7003");
        const client = socket("udp", 6);
        client.send("a", "[::ffff:127.0.0.1]:7003");
        const got = await server.receive();
        expect(got?.from).toMatch(/^\[::ffff:127\.0\.0\.1\]:\d+$/);
        expect(seen().slice(3)).toEqual([
          "create inet6 udp",
          "sendmsg4 inet6/inet udp 127.0.0.1:7003",
          expect.stringMatching(/^recvmsg6 inet6\/inet6 udp \[::ffff:127\.0\.0\.1\]:\d+$/) as string,
        ]);
      });

      test("a connected socket asks connect once and sendmsg never; its peer is what getpeername says", async () => {
        const server = socket("udp", 4);
        server.bind("127.0.0.1:7004");
        const client = socket("udp", 4);
        rule("connect4", { to: "127.0.0.1:7004" });
        rule("getpeername4", { to: "192.0.2.1:53" });
        await client.connect("192.0.2.1:53");
        client.send("a");
        expect((await server.receive())?.text).toBe("a");
        expect(client.peer()).toBe("192.0.2.1:53");
        expect(seen().slice(4)).toEqual([
          "connect4 inet/inet udp 192.0.2.1:53",
          expect.stringMatching(/^recvmsg4 /) as string,
          "getpeername4 inet/inet udp 127.0.0.1:7004",
        ]);
      });

      test("a service address both ways: sendmsg sends to the backend, recvmsg shows the service", async () => {
        const server = stranger("udp", 4);
        server.bind("127.0.0.1:7005");
        const client = socket("udp", 4);
        rule("sendmsg4", { to: "127.0.0.1:7005" });
        rule("recvmsg4", { to: "192.0.2.1:53" });
        client.send("question", "192.0.2.1:53");
        const got = await server.receive();
        server.send("answer", got?.from);
        expect(await client.receive()).toEqual({ text: "answer", from: "192.0.2.1:53" });
      });

      test("the same over IPv6", async () => {
        const server = stranger("udp", 6);
        server.bind("[::1]:7006");
        const client = socket("udp", 6);
        rule("sendmsg6", { to: "[::1]:7006" });
        rule("recvmsg6", { to: "[2001:db8::1]:53" });
        client.send("question", "[2001:db8::1]:53");
        const got = await server.receive();
        server.send("answer", got?.from);
        expect(await client.receive()).toEqual({ text: "answer", from: "[2001:db8::1]:53" });
      });

      test("refusals: EPERM, a program's own number, a port of zero, an address that was mapped", async () => {
        const client = socket("udp", 4);
        rule("sendmsg4", { verdict: 0 });
        expect(await codeOf(() => client.send("a", "127.0.0.1:7007"))).toBe("EPERM");
        rule("sendmsg4", { verdict: 0, errno: 113 });
        expect(await codeOf(() => client.send("a", "127.0.0.1:7007"))).toBe("EHOSTUNREACH");
        rule("sendmsg4", { errno: 113 });
        expect(await codeOf(() => client.send("a", "127.0.0.1:7007"))).toBe("EHOSTUNREACH");
        rule("sendmsg4", { to: "127.0.0.1:0" });
        expect(await codeOf(() => client.send("a", "127.0.0.1:7007"))).toBe("EINVAL");
        rule("connect4", { verdict: 0 });
        expect(await codeOf(() => client.connect("127.0.0.1:7007"))).toBe("EPERM");
        const other = socket("udp", 6);
        rule("sendmsg6", { to: "[::ffff:127.0.0.1]:7007" });
        expect(await codeOf(() => other.send("a", "[::1]:7007"))).toMatch(/^(ENOTSUPP|E524)$/);
      });
    });

    describe("TCP", () => {
      test.each([
        [4, "127.0.0.1:7010", "inet"],
        [6, "[::1]:7011", "inet6"],
      ] as const)("IPv%d: made, bound, listening, connected, named, closed", async (family, at, word) => {
        const server = socket("tcp", family);
        server.bind(at);
        server.listen();
        const client = socket("tcp", family);
        await client.connect(at);
        const accepted = keep(await server.accept());
        expect(client.peer()).toBe(at);
        expect(accepted.name()).toBe(at);
        expect(client.name()).toBe(accepted.peer());
        const mine = client.name();
        client.close();
        expect(seen()).toEqual([
          `create ${word} tcp`,
          `bind${family} ${word}/${word} tcp ${at}`,
          `post_bind${family} ${word} tcp ${at} state 7`,
          `create ${word} tcp`,
          `connect${family} ${word}/${word} tcp ${at}`,
          `getpeername${family} ${word}/${word} tcp ${at}`,
          `getsockname${family} ${word}/${word} tcp ${at}`,
          `getsockname${family} ${word}/${word} tcp ${mine}`,
          `getpeername${family} ${word}/${word} tcp ${mine}`,
          `getsockname${family} ${word}/${word} tcp ${mine}`,
          `release ${word} tcp`,
        ]);
      });

      test("a socket of IPv6 on a mapped address asks IPv6's hook", async () => {
        const server = socket("tcp", 6);
        server.bind("[::]:7012");
        server.listen();
        const client = socket("tcp", 6);
        await client.connect("[::ffff:127.0.0.1]:7012");
        expect(client.peer()).toBe("[::ffff:127.0.0.1]:7012");
        expect(seen().slice(3)).toEqual([
          "create inet6 tcp",
          "connect6 inet6/inet6 tcp [::ffff:127.0.0.1]:7012",
          "getpeername6 inet6/inet6 tcp [::ffff:127.0.0.1]:7012",
        ]);
      });

      test("IPv6: a service becomes a backend, also one of IPv4", async () => {
        const server = stranger("tcp", 4);
        server.bind("127.0.0.1:7013");
        server.listen();
        const client = socket("tcp", 6);
        rule("connect6", { to: "[::ffff:127.0.0.1]:7013" });
        rule("getpeername6", { to: "[2001:db8::1]:80" });
        await client.connect("[2001:db8::1]:80");
        expect(client.peer()).toBe("[2001:db8::1]:80");
        const accepted = keep(await server.accept());
        client.send("hello");
        expect((await accepted.receive())?.text).toBe("hello");
      });

      test("bind: another port, refusals, and what post_bind refuses is not bound", async () => {
        const moved = socket("tcp", 4);
        rule("bind4", { to: "127.0.0.1:7014" });
        moved.bind("127.0.0.1:9");
        expect(moved.name()).toBe("127.0.0.1:7014");
        rule("bind4", { verdict: 0 });
        const refused = socket("tcp", 4);
        expect(await codeOf(() => refused.bind("127.0.0.1:7015"))).toBe("EPERM");
        rule("bind4", {});
        rule("post_bind4", { verdict: 0 });
        expect(await codeOf(() => refused.bind("127.0.0.1:7015"))).toBe("EPERM");
        rule("post_bind4", {});
        refused.bind("127.0.0.1:7015");
        expect(refused.name()).toBe("127.0.0.1:7015");
        expect(seen().filter((each) => each.startsWith("post_bind"))).toEqual([
          "post_bind4 inet tcp 127.0.0.1:7014 state 7",
          "post_bind4 inet tcp 127.0.0.1:7015 state 7",
          "post_bind4 inet tcp 127.0.0.1:7015 state 7",
        ]);
      });

      test("a socket that a program does not let be", async () => {
        rule("create", { verdict: 0 });
        expect(await codeOf(() => ground.socket("tcp", 4))).toBe("EPERM");
        rule("create", { verdict: 0, errno: 13 });
        expect(await codeOf(() => ground.socket("udp", 6))).toBe("EACCES");
      });

      test("refusals to connect: EPERM, or the program's number", async () => {
        const client = socket("tcp", 4);
        rule("connect4", { verdict: 0 });
        expect(await codeOf(() => client.connect("127.0.0.1:7016"))).toBe("EPERM");
        rule("connect4", { verdict: 0, errno: 101 });
        expect(await codeOf(() => client.connect("127.0.0.1:7016"))).toBe("ENETUNREACH");
        rule("connect4", {});
        expect(await codeOf(() => client.connect("127.0.0.1:7016"))).toBe("ECONNREFUSED");
      });
    });

    test("sockets of another cgroup ask nobody", () => {
      const other = stranger("udp", 4);
      other.bind("127.0.0.1:7020");
      expect(seen()).toEqual([]);
    });
  });
}
