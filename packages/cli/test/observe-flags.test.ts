// Each flag of `hubble observe` is taken, in the order of the list of features, or refused with a reason.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { jsonLine, timestampOf } from "@skep/flows";
import { skep } from "./in-process.ts";

const list = new URL("../../../../shared/reference/features.md", import.meta.url);
const row = existsSync(list) ? /^\| H-08 \| [^|]*\| ([^|]*)\|/m.exec(readFileSync(list, "utf8"))?.[1] : undefined;
if (row === undefined) console.warn("skipped: no ../shared/reference/features.md with `hubble observe`'s flags");

/** `--(from-/to-)a b`, `--a/b` and `--a x/y` of the row as flags. */
function flagsOf(text: string): string[] {
  return text.split(",").flatMap((part) => {
    const words = part.trim().split(" ");
    const ends = /^--\(from-\/to-\)(.*)$/.exec(words[0] ?? "");
    if (ends)
      return [ends[1] ?? "", ...words.slice(1)].flatMap((name) => [`--${name}`, `--from-${name}`, `--to-${name}`]);
    return words
      .filter((word) => word.startsWith("--"))
      .flatMap((word) => {
        const [first = "", ...more] = word.split("/");
        return [first, ...more.map((name) => (name.startsWith("--") ? name : first.replace(/[^-]*$/, name)))];
      });
  });
}

/** What a flag is asked with, and what it puts into the filter. Null: no value. */
const filterValues: Readonly<Record<string, readonly [value: string | null, filter: string]>> = {
  "--uuid": ["u1", "uuid"],
  "--node-name": ["default/endor", "node_name"],
  "--node-label": ["zone=a", "node_labels"],
  cluster: ["c1", "cluster_name"],
  fqdn: ["*.example.com", "fqdn"],
  ip: ["10.0.0.0/8", "ip"],
  pod: ["default/web", "pod"],
  namespace: ["default", "pod"],
  label: ["app=web", "label"],
  service: ["default/web", "service"],
  port: ["80", "port"],
  workload: ["Deployment/web", "workload"],
  identity: ["world", "identity"],
  "--snat-ip": ["10.0.0.1", "source_ip_xlated"],
  "--protocol": ["tcp", "protocol"],
  "--tcp-flags": ["SYN,ACK", "tcp_flags"],
  "--type": ["trace:to-endpoint", "event_type"],
  "--verdict": ["DROPPED", "verdict"],
  "--drop-reason-desc": ["POLICY_DENIED", "drop_reason_desc"],
  "--http-status": ["5+", "http_status_code"],
  "--http-method": ["GET", "http_method"],
  "--http-path": ["/api/.*", "http_path"],
  "--http-url": ["http://a/.*", "http_url"],
  "--http-header": ["x-id:1", "http_header"],
  "--trace-id": ["abc", "trace_id"],
  "--ip-trace-id": ["7", "ip_trace_id"],
  "--ipv4": [null, "ip_version"],
  "--ipv6": [null, "ip_version"],
  "--ip-version": ["v6", "ip_version"],
  "--traffic-direction": ["ingress", "traffic_direction"],
  "--cel-expression": ["_flow.uuid == 'u1'", "cel_expression"],
  "--interface": ["eth0", "interface"],
  "--encrypted": [null, "encrypted"],
  "--unencrypted": [null, "encrypted"],
};

const folder = mkdtempSync(join(tmpdir(), "skep-flags-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "flows.jsonl");
writeFileSync(
  file,
  ["a", "b", "c"]
    .map((uuid, at) => {
      const event = { eventType: { type: 5, subType: 133 }, verdict: flow.Verdict.DROPPED, Summary: uuid };
      const ip = { source: "10.0.0.1", destination: "10.0.0.2", ipVersion: flow.IPVersion.IPv4 };
      const source = { identity: 2, labels: ["reserved:world"], namespace: "default", podName: "xwing" };
      const time = timestampOf(BigInt(at + 1) * 1_000_000_000n);
      const denied = { ingressDeniedBy: [{ name: "rule1", namespace: "default" }] };
      const made = create(flow.FlowSchema, { uuid, ...event, ...denied, IP: ip, source, time, nodeName: "endor" });
      return `${jsonLine(flow.FlowSchema, made)}\n`;
    })
    .join(""),
);

/** How else flags are asked: their arguments and what is printed. */
const otherArguments: Readonly<Record<string, readonly [args: readonly string[], printed: RegExp]>> = {
  "--not": [["--not", "--uuid", "a"], /b\)\n.*c\)\n$/],
  "--all-namespaces": [["--all-namespaces", "--pod", "xw"], /a\)\n.*b\)\n.*c\)\n$/],
  "--from-all-namespaces": [["--from-all-namespaces", "--from-pod", "xw"], /a\)\n.*b\)\n.*c\)\n$/],
  "--to-all-namespaces": [["--to-all-namespaces", "--to-pod", "xw"], /^$/],
  "--allowlist": [["--allowlist", '{"uuid":["b"]}'], /^\S.*\(b\)\n$/],
  "--denylist": [["--denylist", '{"uuid":["a","b"]}'], /^\S.*\(c\)\n$/],
  "--since": [["--since", "1970-01-01T00:00:03Z"], /^\S.*\(c\)\n$/],
  "--until": [["--until", "1970-01-01T00:00:01Z"], /^\S.*\(a\)\n$/],
  "--first": [["--first", "1"], /^\S.*\(a\)\n$/],
  "--last": [["--last", "1"], /^\S.*\(c\)\n$/],
  "--output": [["--last", "1", "--output", "json"], /^\{"flow":\{.*"uuid":"c"/],
  "--print-policy-names": [["--last", "1", "--print-policy-names"], /rule1/],
  "--print-raw-filters": [["--print-raw-filters", "--uuid", "a"], /^allowlist:\n {4}- '\{"uuid":\["a"\]\}'\n$/],
  "--input-file": [["--last", "1"], /\(c\)/],
  "--numeric": [["--last", "1", "--numeric"], /10\.0\.0\.1/],
  "--color": [["--last", "1", "--color", "always"], /3[0-9]m/],
  "--time-format": [["--last", "1", "--time-format", "RFC3339"], /^1970-01-01T00:00:03Z: /],
};

/** Refused where flows come from a file, with this reason. */
const refused: Readonly<Record<string, readonly [args: readonly string[], reason: RegExp]>> = {
  "--follow": [["--follow"], /a file cannot be followed/],
};

describe("filters that contradict each other", () => {
  it.each([
    ["--from-namespace a --from-pod b/c", 'namespace conflict: "a" does not contain "b/c"'],
    ["--to-namespace a --to-namespace b --to-pod a/c", 'namespace conflict: "b" does not contain "a/c"'],
    ["--namespace a --pod b/c", 'namespace conflict: "a" does not contain "b/c"'],
    ["--from-namespace a --from-service b/c", 'namespace conflict: "a" does not contain "b/c"'],
    ["--from-pod a/b --from-service c/d", 'namespace of service "c/d" conflict with pod "a"'],
    ["--from-pod a/b --namespace a", "filters --from-pod and --namespace cannot be combined"],
    ["--ip 10.0.0.1 --from-ip 10.0.0.1", "filters --from-ip and --ip cannot be combined"],
    ["--encrypted --unencrypted", "filters --encrypted and --unencrypted cannot be combined"],
    ["--not --port 1 --not --to-port 2", "filters --port and --to-port cannot be combined"],
  ])("%s is refused", async (args, reason) => {
    const { status, stderr } = await skep("observe", "--print-raw-filters", ...args.split(" "));
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(reason) as string });
  });

  it.each([
    ["--from-namespace a --to-pod b/c", '{"source_pod":["a/"],"destination_pod":["b/c"]}'],
    ["--from-namespace a --from-pod a/c --from-pod d", '"a/c","a/d"'],
    ["--port 1 --not --to-port 2", '{"destination_port":["2"]}'],
  ])("%s is taken", async (args, printed) => {
    const taken = await skep("observe", "--print-raw-filters", ...args.split(" "));
    expect(taken).toMatchObject({ status: 0, stdout: expect.stringContaining(printed) as string });
  });
});

describe.skipIf(row === undefined)("flags of hubble observe", () => {
  const flags = flagsOf(row ?? "");
  const bare = (name: string): string => name.replace(/^--(from-|to-)?/, "");

  it("are all known here", () => {
    expect(flags.length).toBeGreaterThan(65);
    const known = flags.filter(
      (name) =>
        name in otherArguments || name in refused || name in filterValues || (bare(name) in filterValues && name),
    );
    expect(known).toEqual(flags);
  });

  it.each(flags)("%s", async (name) => {
    const filter = filterValues[name] ?? filterValues[bare(name)];
    const other = otherArguments[name];
    const no = refused[name];
    if (no) {
      const { status, stderr } = await skep("observe", "--input-file", file, ...no[0]);
      expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(no[1]) as string });
    } else if (other) {
      const { status, stdout } = await skep("observe", "--input-file", file, ...other[0]);
      expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringMatching(other[1]) as string });
    } else {
      const [value, field] = filter ?? ["", ""];
      const args = [name, ...(value === null ? [] : [value])];
      const taken = await skep("observe", "--print-raw-filters", ...args);
      expect(taken).toMatchObject({ status: 0, stdout: expect.stringContaining(`${field}"`) as string });
      const turned = await skep("observe", "--print-raw-filters", "--not", ...args);
      expect(turned.stdout).toMatch(/^denylist:/);
    }
  });

  it.each(["compact", "dict", "json", "jsonpb", "tab", "table"])("--output %s", async (format) => {
    const { status, stdout } = await skep("observe", "--input-file", file, "-o", format);
    expect(status).toBe(0);
    expect(stdout).toContain("xwing");
  });

  it.each(["99999999999999999999", "9007199254740993", "-1", "1.5", "x"])("--last %s cannot be", async (number) => {
    const { status, stderr } = await skep("observe", "--last", number);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: expect.stringMatching(/--last.*(too large|not a whole number)/) as string,
    });
  });

  it("--silent-errors, --json and --experimental-field-mask are taken as by it", async () => {
    const { stdout } = await skep("observe", "--input-file", file, "-s", "-j", "--experimental-field-mask", "uuid");
    expect(stdout.split("\n")[0]).toContain('{"flow":{"uuid":"a"}');
  });
});

describe("times", () => {
  it.each([
    ["1970-01-01T00:00:02Z", "bc"],
    ["1970-01-01T00:00:02.5+00:00", "c"],
    ["1970-01-01 00:00:03", "c"],
    ["1970-01-01T00:00:03", "c"],
    ["1970-01-01T00:00", "abc"],
    ["1970-01-01T00", "abc"],
    ["1970-01-01", "abc"],
    ["1d", ""],
    ["1h30m", ""],
    ["90s", ""],
  ])("--since %s", async (since, expected) => {
    const { stdout, stderr } = await skep("observe", "--input-file", file, "--since", since);
    expect(stderr).toBe("");
    expect([...stdout.matchAll(/\(([abc])\)/g)].map(([, uuid]) => uuid).join("")).toBe(expected);
  });

  it("that are none are refused", async () => {
    const { status, stderr } = await skep("observe", "--input-file", file, "--since", "yesterday");
    expect(status).toBe(2);
    expect(stderr).toContain("is not a time");
  });
});
