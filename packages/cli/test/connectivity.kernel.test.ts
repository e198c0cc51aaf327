// A part of the connectivity test in the kernel; the whole of it is `skep connectivity test`.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readCapture } from "@skep/net";
import { asOnTheWire, hasTshark, tsharkFindings } from "../../net/test/tshark.ts";
import { builtCommand } from "./built.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: the connectivity test in the kernel needs root and BPF");

const NAMES = [
  "no-policies",
  "no-interrupted-connections",
  "local-redirect-policy",
  "local-redirect-policy-skip-backend",
  "service-internal-traffic-policy",
  "service-topology-hints",
  "service-terminating-backends",
  "service-ipv4-to-ipv6-backend",
  "service-ipv6-to-ipv4-backend",
  "service-ipv4-to-ipv6-backend-outside",
  "service-ipv6-to-ipv4-backend-outside",
  "nat64-gateway",
  "client-ingress-icmp",
  "echo-ingress",
  "host-firewall-ingress",
  "egress-gateway",
  "egress-gateway-excluded-cidrs",
];

describe.skipIf(!privileged)("skep connectivity test", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-connectivity-test-"));
  const frames = join(folder, "out.pcapng");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("passes in the kernel and leaves nothing", () => {
    const command = builtCommand();
    const args = ["connectivity", "test", "-t", `^(${NAMES.join("|")})$`, "-o", "json", "--capture", frames];
    const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
      encoding: "utf8",
    });
    const outcomes = JSON.parse(stdout || "[]") as { name: string; ok: boolean; findings: object[] }[];
    expect(
      outcomes.filter(({ ok }) => !ok),
      stderr,
    ).toEqual([]);
    expect(outcomes.map(({ name }) => name)).toEqual([...NAMES, "no-unexpected-packet-drops", "check-log-errors"]);
    expect(status).toBe(0);
    const left = spawnSync("ls", ["/sys/fs/cgroup"], { encoding: "utf8" }).stdout;
    expect(left).not.toContain("skep-skep-connectivity");
  });

  it("captures each device under its name, in the order of the kernel's clock", () => {
    const { packets, interfaces } = readCapture(readFileSync(frames));
    const names = interfaces.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["host/skep1", "host/out0", "outside/eth0"]));
    expect(new Set(names).size).toBe(names.length);
    expect(packets.every(({ timestamp }, at) => at === 0 || timestamp >= (packets[at - 1]?.timestamp ?? 0n))).toBe(
      true,
    );
    const first = packets[0]?.timestamp ?? 0n;
    expect(first).toBeGreaterThan(BigInt(Date.now() - 3_600_000) * 1_000_000n);
    // Not of this process's reading: that has no nanoseconds.
    expect(packets.filter(({ timestamp }) => timestamp % 1_000_000n !== 0n).length).toBeGreaterThan(packets.length / 2);
  });

  it.skipIf(!hasTshark())("sends nothing that Wireshark finds malformed", () => {
    const { packets, error } = readCapture(readFileSync(frames));
    expect(error).toBeNull();
    expect(packets.length).toBeGreaterThan(500);
    expect(tsharkFindings(packets.map(({ data }) => asOnTheWire(data)))).toEqual([]);
  });
});
