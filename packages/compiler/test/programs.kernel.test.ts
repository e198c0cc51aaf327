import { afterEach, describe, expect, it } from "vitest";
import { PROGRAM_KINDS } from "@skep/bpf";
import { isErrno, NotSupportedError } from "@skep/linux";
import { bpf, specOf, start, type Running } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

const COUNT = `
import { config, lruHash, ringBuf, struct, tc, TC, be16, be32, u16, u64 } from "@skep/bpf";
import { Ethernet, Ipv4, Tcp } from "@skep/bpf/net";
const Tuple = struct("Tuple", { saddr: be32, daddr: be32, sport: be16, dport: be16 });
const Count = struct("Count", { packets: u64, bytes: u64 });
export const port = config("port", u16, 80);
export const seen = lruHash("seen", { key: Tuple, value: Count, maxEntries: 1024 });
export const news = ringBuf("news", Tuple, { bytes: 4096 });
export const count = tc("count", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== 6) return TC.OK;
  const tcp = ctx.header(Tcp, Ethernet.size + ip.ihl * 4);
  if (!tcp || tcp.destination !== port.value) return TC.OK;
  const key = { saddr: ip.source, daddr: ip.destination, sport: tcp.source, dport: tcp.destination };
  const c = seen.get(key);
  if (c) { c.packets += 1n; c.bytes += u64(ctx.length); return TC.OK; }
  seen.set(key, { packets: 1n, bytes: u64(ctx.length) });
  news.emit(key);
  return TC.OK;
});`;

/** Ethernet, IPv4 with `options` words, TCP to `port`; `rest` bytes follow. */
function tcpPacket(port: number, { options = 0, rest = 40 } = {}): Uint8Array {
  const data = new Uint8Array(14 + 20 + options * 4 + 20 + rest);
  const view = new DataView(data.buffer);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45 + options);
  view.setUint8(22, 64);
  view.setUint8(23, 6);
  view.setUint32(26, 0x0a000001);
  view.setUint32(30, 0x0a000002);
  const tcp = 34 + options * 4;
  view.setUint16(tcp, 40_000);
  view.setUint16(tcp + 2, port);
  return data;
}

const KEY = Uint8Array.of(10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40, 0, 80);

/** Their parameters are those of the target. */
const TRACED: ReadonlySet<string> = new Set([
  "fentry",
  "fexit",
  "fmodRet",
  "tpBtf",
  "lsm",
  "lsmCgroup",
  "iterator",
  "netfilter",
]);
/** Declared in other ways: the corpus has them. */
const OTHERS: ReadonlySet<string> = new Set(["structOps", "syscall", "freplace"]);

describe.skipIf(!canUseBpf())("programs in the kernel", () => {
  const open: Running[] = [];
  afterEach(() => open.splice(0).forEach((one) => one.close()));
  const run = (...args: Parameters<typeof start>): Running => {
    const running = start(...args);
    open.push(running);
    return running;
  };

  it("counts connections", () => {
    const count = run(COUNT);
    const { seen } = count.collection.maps;
    for (const packet of [tcpPacket(80), tcpPacket(80, { options: 3 }), tcpPacket(81), tcpPacket(80, { rest: 0 })]) {
      expect(count.run(packet).returned).toBe(0);
    }
    const value = seen?.get(KEY);
    const view = new DataView(value?.buffer ?? new ArrayBuffer(0));
    expect(view.getBigUint64(0, true)).toBe(3n);
    expect(view.getBigUint64(8, true)).toBe(94n + 106n + 54n);
    const records: Uint8Array[] = [];
    const reader = count.collection.maps["news"]?.readRing((record) => records.push(record.slice()));
    expect(reader?.drain()).toBe(1);
    reader?.close();
    expect(records).toEqual([KEY]);
  });

  it("takes its configuration", () => {
    const count = run(COUNT, { load: { config: { port: 81 } } });
    count.run(tcpPacket(80));
    expect(count.collection.maps["seen"]?.get(KEY)).toBeNull();
  });

  it("sees headers that are not linear", (test) => {
    const count = run(COUNT);
    // struct __sk_buff of a test run: data_end says how much of the packet is linear (later than 6.18).
    const context = new Uint8Array(192);
    new DataView(context.buffer).setUint32(80, 14, true);
    const packet = tcpPacket(80, { rest: 5000 });
    try {
      expect(count.run(packet, { context }).returned).toBe(0);
    } catch (error) {
      if (!isErrno(error, "EINVAL")) throw error;
      console.warn("skipped: this kernel's test runs make linear packets only");
      test.skip();
    }
    expect(count.collection.maps["seen"]?.get(KEY)?.[0]).toBe(1);
  });

  it("outlines, and keeps what callers know", () => {
    const text = `
      import { struct, subprogram, tc, TC, u32, u8, type TcContext } from "@skep/bpf";
      import { Ethernet, Ipv4 } from "@skep/bpf/net";
      const ttl = subprogram((ctx: TcContext, add: u8): u32 => {
        const ip = ctx.header(Ipv4, Ethernet.size);
        return ip ? ip.ttl + add : 1000;
      });
      export const main = tc("main", (ctx) => ttl(ctx, 1) + ttl(ctx, 2));`;
    expect(run(text).run(tcpPacket(80)).returned).toBe(64 + 64 + 3);
  });

  it("of every type load", () => {
    const bodies: Record<string, string> = {
      ...Object.fromEntries([...TRACED].map((kind) => [kind, "return 0;"])),
      tc: "ctx.mark = ctx.hash; return ctx.protocol;",
      xdp: "return ctx.rxQueueIndex;",
      cgroupConnect4: "ctx.userIp4 = 0x7f000001; ctx.userPort = 80; return ctx.family === 2 ? 1 : 0;",
      cgroupConnect6: "ctx.userIp6[3] = 1; return ctx.userIp6[0] === 0 ? 1 : 0;",
      cgroupSendmsg4: "ctx.msgSrcIp4 = 0x7f000001; return 1;",
      cgroupRecvmsg4: "ctx.userIp4 = 0x7f000001; return 1;",
      cgroupPostBind4: "return ctx.srcPort === 80 ? 0 : 1;",
      cgroupPostBind6: "return ctx.srcIp6[0] === 0 ? 1 : 0;",
      cgroupSockCreate: "ctx.mark = 3; return 1;",
      cgroupSkbIngress: "return ctx.remotePort === 53 || ctx.remoteIp4 === 1 ? 1 : 0;",
      cgroupSkbEgress: "const v = ctx.length; return v > 100 ? 1 : 0;",
      sockOps: "if (ctx.op === 3 && ctx.remotePort === 80) ctx.reply = 10; return 1;",
      skLookup: "return ctx.localPort === 80 && ctx.remotePort > 1024 && ctx.protocol === 6 ? 1 : 0;",
      tracepoint: "return ctx.read(i32, 8) > 0 ? 1 : 0;",
      rawTracepoint: "return ctx.arg(1) > 0n ? 1 : 0;",
      kprobe: "return ctx.arg(0) === ctx.ip ? 1 : 0;",
      kretprobe: "return ctx.returned === 0n ? 1 : 0;",
      socketFilter: "return ctx.protocol === 0x0800 ? ctx.length : 0;",
      lwtIn: "return ctx.mark === 1 ? 2 : 0;",
      lwtXmit: "const w = ctx.header(W, 0); return w && w.n === 1 ? 2 : 0;",
      skSkbVerdict: "const w = ctx.header(W, 0); return w && w.n === 1 ? SK.DROP : SK.PASS;",
      skSkbParser: "return ctx.length;",
      skMsg: "const w = ctx.header(W, 0); return w && w.n === ctx.size ? SK.DROP : SK.PASS;",
      skReuseport: "const w = ctx.header(W, 0); return w && ctx.hash % 2 === 0 ? 1 : 0;",
      cgroupDevice: "return ctx.major === 1 && ctx.accessType >>> 16 === 2 ? 1 : 0;",
      cgroupSysctl: "return ctx.write === 1 ? 0 : 1;",
      cgroupGetsockopt: "ctx.retval = 0; return ctx.level === 6 ? 0 : 1;",
      cgroupSetsockopt: "if (ctx.optname === 1) ctx.optlen = -1; return 1;",
      perfEvent: "return ctx.samplePeriod > 100n ? 1 : 0;",
    };
    const targets: Record<string, string> = {
      tracepoint: "syscalls/sys_enter_openat",
      rawTracepoint: "sys_enter",
      kprobe: "do_unlinkat",
      kretprobe: "do_unlinkat",
      fentry: "do_unlinkat",
      fexit: "do_unlinkat",
      fmodRet: "security_file_open",
      tpBtf: "sched_switch",
      lsm: "file_open",
      iterator: "task",
      lsmCgroup: "socket_create",
      kprobeMulti: "do_unlink*",
      kretprobeMulti: "do_unlink*",
      kprobeSession: "do_unlink*",
      rawTracepointWritable: "bpf_test_finish",
    };
    const kinds = Object.keys(PROGRAM_KINDS).filter((kind) => !OTHERS.has(kind));
    const programs = kinds.map((kind, at) => {
      const target = PROGRAM_KINDS[kind]?.hasTarget ? `"${targets[kind] ?? ""}", ` : "";
      return `export const p${at} = ${kind}("p${at}", ${target}${TRACED.has(kind) ? "()" : "(ctx)"} => { ${bodies[kind] ?? "return 1;"} });`;
    });
    const text = `export const license = "GPL";\nimport { i32, SK, struct, u32, ${kinds.join(", ")} } from "@skep/bpf";\nconst W = struct("W", { n: u32 });\n${programs.join("\n")}`;
    const spec = specOf(text);
    for (const [at, kind] of kinds.entries()) {
      try {
        bpf.load(spec, { programs: [`p${at}`] }).close();
      } catch (error) {
        // Trampolines are refused on machines that are locked down.
        if (!(error instanceof NotSupportedError) || !TRACED.has(kind)) throw error;
        console.warn(`not loaded here: ${kind}: ${error.message}`);
      }
    }
  });

  it("use maps of every type", () => {
    const text = `
      import { array, arrayOfMaps, bloomFilter, cgroupArray, cpuMap, devMap, devMapHash, hash, kprobe, lruPercpuHash, percpuHash,
        perfEventArray, progArray, reuseportSockArray, skStorage, skSelectReuseport, skReuseport, skFullsock, skLookupTcp, skRelease,
        skRedirectHash, skSkbVerdict, sockHash, sockMap, sockOps, sockMapUpdate, stackTraces, struct, tc, TC, u32, u64, xdp, XDP, xskMap,
        skbUnderCgroup, type Of } from "@skep/bpf";
      import { Ipv4Tuple } from "@skep/bpf/net";
      export const license = "GPL";
      const V = struct("V", { n: u64 });
      export const inner = array("inner", { value: V, maxEntries: 4 });
      export const outer = arrayOfMaps("outer", { inner, maxEntries: 4 });
      export const perCpu = percpuHash("per_cpu", { key: u32, value: V, maxEntries: 4 });
      export const lruCpu = lruPercpuHash("lru_cpu", { key: u32, value: V, maxEntries: 4 });
      export const calls = progArray("calls", { maxEntries: 4 });
      export const events = perfEventArray("events", V);
      export const stacks = stackTraces("stacks", { frames: 16, maxEntries: 64 });
      export const devices = devMap("devices", { maxEntries: 8 });
      export const deviceHash = devMapHash("device_hash", { maxEntries: 8 });
      export const cpus = cpuMap("cpus", { maxEntries: 2 });
      export const sockets = xskMap("sockets", { maxEntries: 8 });
      export const streams = sockMap("streams", { maxEntries: 8 });
      export const streamHash = sockHash("stream_hash", { key: u64, maxEntries: 8 });
      export const reuse = reuseportSockArray("reuse", { maxEntries: 8 });
      export const groups = cgroupArray("groups", { maxEntries: 8 });
      export const bloom = bloomFilter("bloom", { value: u32, maxEntries: 100 });
      export const storage = skStorage("storage", { value: V });

      export const a = xdp("a", (ctx) => {
        calls.tailCall(ctx, 3);
        bloom.add(7);
        const known = bloom.has(7) && !bloom.has(8);
        const m = outer.get(0);
        const v = m ? m.get(1) : null;
        if (v) v.n += 1n;
        perCpu.set(1, { n: 5n });
        if ((perCpu.get(1)?.n ?? 0n) !== 5n) return XDP.ABORTED;
        lruCpu.set(2, { n: 6n });
        if (ctx.rxQueueIndex === 1) return devices.redirect(1, 2n);
        if (ctx.rxQueueIndex === 2) return deviceHash.redirect(1);
        if (ctx.rxQueueIndex === 3) return cpus.redirect(0);
        if (ctx.rxQueueIndex === 4) return sockets.redirect(ctx.rxQueueIndex, 2n);
        return known ? XDP.PASS : XDP.DROP;
      });
      export const b = tc("b", (ctx) => {
        if (skbUnderCgroup(ctx, groups, 1) === 1n) return TC.SHOT;
        events.output(ctx, { n: 3n });
        const tuple: Of<typeof Ipv4Tuple> = { source: 1, destination: 2, sourcePort: 3, destinationPort: 4 };
        const socket = skLookupTcp(ctx, tuple, 0xffff_ffff_ffff_ffffn, 0n);
        if (!socket) return TC.OK;
        const full = skFullsock(socket);
        if (full) {
          const v = storage.get(full, true, { n: 1n });
          if (v) v.n += 1n;
        }
        const port = socket.dstPort;
        skRelease(socket);
        return port === 80 ? TC.SHOT : TC.OK;
      });
      export const c = kprobe("c", "do_unlinkat", (ctx) => (stacks.id(ctx, 0n) >= 0n ? 1 : 0));
      export const d = sockOps("d", (ctx) => { sockMapUpdate(ctx, streams, 1, 0n); return 1; });
      export const e = skSkbVerdict("e", (ctx) => (skRedirectHash(ctx, streamHash, 5n, 0n) === 1n ? 1 : 0));
      export const f = skReuseport("f", (ctx) => (skSelectReuseport(ctx, reuse, 1, 0n) === 0n ? 1 : 0));
    `;
    const running = run(text);
    expect(running.run(new Uint8Array(64), { name: "a" }).returned).toBe(2);
    expect(running.run(tcpPacket(80), { name: "b" }).returned).toBe(0);
    expect(Object.keys(running.collection.maps)).toHaveLength(17);
  });
});
