/**
 * Where a machine fires the hooks of connections, packets and messages, in which order, with which arguments, and what their answers do:
 * sockops, sk_lookup, cgroup_skb, sk_msg and sk_skb. One suite for every machine, over `lo` of one namespace.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile } from "@skep/compiler";
import type { ObjectSpec } from "@skep/object";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type App, load } from "../src/index.ts";
import { codeOf, type SocketGround, type TestSocket } from "./hooks-suite.ts";
import * as module from "./streams.bpf.ts";

const WHAT = ["", "sockops", "sk_lookup", "ingress", "egress", "sk_msg", "sk_skb"];
const OPS = [
  ...["", "timeout_init", "rwnd_init", "connect", "active", "passive", "ecn", "base_rtt"],
  ...["rto", "retransmit", "state", "listen", "rtt"],
];

/** A `Told`. */
function textOf(record: Uint8Array): string {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const words = Array.from({ length: 11 }, (_, at) => view.getUint32(at * 4, true));
  const [what = 0, op = 0, family = 0, state = 0, local = 0, remote = 0, localPort = 0, remotePort = 0] = words;
  const [first = 0, second = 0, full = 0] = words.slice(8);
  const dotted = (address: number): string => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
  const ends = `${dotted(local)}:${localPort} ${dotted(remote)}:${remotePort}`;
  const kind = family === 2 ? "" : ` family ${family}`;
  if (WHAT[what] === "sockops") {
    const change = OPS[op] === "state" ? ` ${first}-${second}` : "";
    return `${OPS[op]}${change}${full === 1 ? "" : " request"} in ${state} ${ends}${kind}`;
  }
  if (WHAT[what] === "sk_lookup") return `sk_lookup ${op === 6 ? "tcp" : "udp"} ${ends}${kind}`;
  if (what === 3 || what === 4) return `${WHAT[what]} ${op} bytes of ${first}, ${ends}${kind}`;
  return `${WHAT[what]} ${op} bytes ${ends}${kind}`;
}

const key = (index: number): Uint8Array => new Uint8Array(Uint32Array.of(index).buffer);

export function streamsSuite(name: string, open: () => SocketGround): void {
  describe(name, () => {
    let ground: SocketGround;
    let app: App<typeof module>;
    let spec: ObjectSpec;
    const sockets: TestSocket[] = [];
    const links: { close(): void }[] = [];

    beforeAll(() => {
      const path = fileURLToPath(new URL("./streams.bpf.ts", import.meta.url));
      const compiled = compile(path, { readFile: (file) => readFileSync(file, "utf8") });
      if (!compiled.spec) throw new Error(compiled.diagnostics.map(({ message }) => message).join("\n"));
      ({ spec } = compiled);
    });
    beforeEach(() => {
      ground = open();
      app = load(ground.machine, spec, { module });
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
    const socket = (kind: "tcp" | "udp"): TestSocket => keep(ground.socket(kind, 4));
    const attach = (program: keyof typeof app.programs): void => {
      links.push(app.attach(app.programs[program], { hook: "cgroup", path: ground.cgroup }));
    };

    function told(): string[] {
      const found: string[] = [];
      const reader = app.collection.maps["told"]!.readRing((record) => found.push(textOf(record)));
      reader.drain();
      reader.close();
      return found;
    }

    /** Of a connection to a port of this host: who asked, and who took it. */
    async function pair(at: string): Promise<{ client: TestSocket; server: TestSocket; listener: TestSocket }> {
      const listener = socket("tcp");
      listener.bind(at);
      listener.listen();
      const client = socket("tcp");
      await client.connect(at);
      return { client, server: keep(await listener.accept()), listener };
    }

    const put = (map: "chosen" | "streams" | "messages", index: number, one: TestSocket): void =>
      app.collection.maps[map]!.set(key(index), key(one.descriptor));

    describe("sockops", () => {
      test("the life of a connection without callbacks that were asked for", async () => {
        attach("life");
        const { client } = await pair("127.0.0.1:7101");
        const mine = client.name();
        expect(told()).toEqual([
          "listen in 10 127.0.0.1:7101 0.0.0.0:0",
          `connect in 2 ${mine} 127.0.0.1:7101`,
          `rwnd_init in 2 ${mine} 127.0.0.1:7101`,
          `timeout_init in 2 ${mine} 127.0.0.1:7101`,
          `ecn in 2 ${mine} 127.0.0.1:7101`,
          `rwnd_init request in 12 127.0.0.1:7101 ${mine}`,
          `timeout_init request in 12 127.0.0.1:7101 ${mine}`,
          `ecn request in 12 127.0.0.1:7101 ${mine}`,
          `active in 1 ${mine} 127.0.0.1:7101`,
          `passive in 3 127.0.0.1:7101 ${mine}`,
        ]);
      });

      test("the states of both ends, from opening to closing", async () => {
        app.globals.flags.value = 4;
        attach("life");
        const { client, server } = await pair("127.0.0.1:7102");
        const mine = client.name();
        client.close();
        await server.receive();
        server.close();
        await ground.settle();
        const changes = told().filter((each) => each.startsWith("state"));
        const [ours, theirs] = [`${mine} 127.0.0.1:7102`, `127.0.0.1:7102 ${mine}`];
        expect(changes.filter((each) => each.endsWith(ours))).toEqual([
          `state 2-1 in 2 ${ours}`,
          `state 1-4 in 1 ${ours}`,
          `state 4-5 in 4 ${ours}`,
          `state 5-7 in 5 ${ours}`,
        ]);
        expect(changes.filter((each) => each.endsWith(theirs))).toEqual([
          `state 3-1 in 3 ${theirs}`,
          `state 1-8 in 1 ${theirs}`,
          `state 8-9 in 8 ${theirs}`,
          `state 9-7 in 9 ${theirs}`,
        ]);
      });
    });

    describe("sk_lookup", () => {
      const hook = (): void => {
        links.push(app.attach(app.programs.lookup, { hook: "sk_lookup", namespace: ground.namespace }));
      };

      test("a listener that has another port, TCP", async () => {
        const listener = socket("tcp");
        listener.bind("127.0.0.1:7110");
        listener.listen();
        put("chosen", 0, listener);
        const before = socket("tcp");
        expect(await codeOf(() => before.connect("127.0.0.1:7999"))).toBe("ECONNREFUSED");
        hook();
        const client = socket("tcp");
        await client.connect("127.0.0.1:7999");
        expect(keep(await listener.accept()).name()).toBe("127.0.0.1:7999");
        expect(told()).toEqual(["sk_lookup tcp 127.0.0.1:7999 127.0.0.1:0"]);
      });

      test("a socket that has another port, UDP", async () => {
        const server = socket("udp");
        server.bind("127.0.0.1:7111");
        put("chosen", 0, server);
        hook();
        const client = socket("udp");
        client.send("hello", "127.0.0.1:7998");
        expect((await server.receive())?.text).toBe("hello");
        expect(told()).toEqual(["sk_lookup udp 127.0.0.1:7998 127.0.0.1:0"]);
      });

      test("what the program drops finds nobody, though somebody listens", async () => {
        const listener = socket("tcp");
        listener.bind("127.0.0.1:7112");
        listener.listen();
        app.globals.verdict.value = 0;
        hook();
        const client = socket("tcp");
        expect(await codeOf(() => client.connect("127.0.0.1:7112"))).toBe("ECONNREFUSED");
      });
    });

    describe("cgroup_skb", () => {
      test("packets of a socket, out and in, from their IP header on", async () => {
        attach("into");
        attach("out");
        const server = socket("udp");
        server.bind("127.0.0.1:7120");
        socket("udp").send("hello", "127.0.0.1:7120");
        expect((await server.receive())?.text).toBe("hello");
        expect(told()).toEqual([
          "egress 33 bytes of 17, 127.0.0.1:0 127.0.0.1:0",
          "ingress 33 bytes of 17, 127.0.0.1:7120 127.0.0.1:0",
        ]);
      });

      test("what may not go out is EPERM, what may not come in is not there", async () => {
        app.globals.verdict.value = 0;
        const server = socket("udp");
        server.bind("127.0.0.1:7121");
        const client = socket("udp");
        attach("into");
        client.send("hello", "127.0.0.1:7121");
        expect(await server.receive()).toBeNull();
        attach("out");
        expect(await codeOf(() => client.send("hello", "127.0.0.1:7121"))).toBe("EPERM");
      });
    });

    describe("sockmaps", () => {
      test("sk_msg: told of what is sent, drops it, hands it to another socket", async () => {
        links.push(app.attach(app.programs.message, { hook: "sockmap", map: app.collection.maps["messages"]! }));
        const one = await pair("127.0.0.1:7130");
        const other = await pair("127.0.0.1:7131");
        put("messages", 0, one.client);
        put("messages", 1, other.server);
        one.client.send("plain");
        expect((await one.server.receive())?.text).toBe("plain");
        expect(told()).toEqual([`sk_msg 5 bytes ${one.client.name()} 127.0.0.1:7130`]);
        app.globals.verdict.value = 2;
        one.client.send("short cut");
        expect((await other.server.receive())?.text).toBe("short cut");
        expect(await one.server.receive()).toBeNull();
        app.globals.verdict.value = 0;
        expect(await codeOf(() => one.client.send("never"))).toBe("EACCES");
        app.collection.maps["messages"]!.delete(key(0));
        one.client.send("free");
        expect((await one.server.receive())?.text).toBe("free");
      });

      test("sk_skb: a stream in messages, spliced to another connection, dropped", async () => {
        const map = app.collection.maps["streams"]!;
        links.push(app.attach(app.programs.parser, { hook: "sockmap", map }));
        links.push(app.attach(app.programs.splice, { hook: "sockmap", map }));
        const one = await pair("127.0.0.1:7132");
        const other = await pair("127.0.0.1:7133");
        put("streams", 0, one.server);
        put("streams", 1, other.client);
        app.globals.verdict.value = 2;
        one.client.send("abcd");
        expect((await other.server.receive())?.text).toBe("abcd");
        expect(told()).toEqual([`sk_skb 4 bytes 127.0.0.1:7132 ${one.client.name()}`]);
        one.client.send("ef");
        expect(await other.server.receive()).toBeNull();
        one.client.send("gh");
        expect((await other.server.receive())?.text).toBe("efgh");
        app.globals.verdict.value = 0;
        one.client.send("nope");
        expect(await other.server.receive()).toBeNull();
      });
    });
  });
}
