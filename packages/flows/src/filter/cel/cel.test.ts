import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { context, event } from "../../../test/fixtures.ts";
import { recordOf } from "../../index.ts";
import { FilterError } from "../error.ts";
import { compileFilter } from "../filter.ts";
import { compileCel } from "./compile.ts";

const sample = recordOf(event(), context()).flow;

describe("an expression over a flow", () => {
  it.each([
    ["true", true],
    ["_flow.verdict == Verdict.FORWARDED", true],
    ["_flow.verdict == flow.Verdict.DROPPED", false],
    ["_flow.verdict != 2", true],
    ["_flow.source.pod_name == 'xwing'", true],
    ["_flow.source.pod_name.startsWith(\"x\") && !_flow.source.pod_name.endsWith('x')", true],
    ["_flow.l4.TCP.destination_port == 80u", true],
    ["_flow.l4.TCP.destination_port in [80, 443]", true],
    ["_flow.l4.TCP.destination_port > 79 && _flow.l4.TCP.destination_port <= 80", true],
    ["_flow.l4.UDP.destination_port == 0", true],
    ["has(_flow.l4.TCP)", true],
    ["has(_flow.l4.UDP) || has(_flow.l7)", false],
    ["_flow.l4.TCP.flags.SYN && !_flow.l4.TCP.flags.ACK", true],
    ["_flow.source.labels.exists(l, l == 'k8s:app=xwing')", true],
    ["_flow.source.labels.all(l, l.startsWith('k8s:'))", true],
    ["_flow.source.labels.exists_one(l, l.contains('app'))", true],
    ["size(_flow.source.labels) == 2 && _flow.source.labels.size() == 2", true],
    ["_flow.source.labels.filter(l, l.matches('^k8s:app=')).size() == 1", true],
    ["_flow.source.labels.map(l, size(l))[0] == 13", true],
    ["_flow.source.labels[7] == 'x'", false],
    ["_flow.source.labels[7] == 'x' || true", true],
    ["false && _flow.source.labels[7] == 'x'", false],
    ["_flow.is_reply == false", true],
    ["_flow.is_reply == null", false],
    ["_flow.IP.source.matches(r'^10\\.')", true],
    ["matches(_flow.IP.source, '^11')", false],
    ["_flow.source.identity + 1 == _flow.destination.identity", true],
    ["(7 * 3 - 1) / 4 % 3 == 2", true],
    ["-5 < -4", true],
    ["1 / 0 == 1", false],
    ["1.5 * 2.0 == 3.0", true],
    ["_flow.Type == FlowType.L3_L4 ? _flow.source.ID == 1 : false", true],
    ["_flow.time > timestamp('2020-01-01T00:00:00Z')", true],
    ["_flow.time - timestamp('2023-11-14T22:13:20Z') == duration('1s')", true],
    ["string(_flow.l4.TCP.destination_port) + '!' == '80!'", true],
    ["int('80') == 80 && double(1) == 1.0", true],
    ["{'a': 1, 'b': 2}['b'] == 2 && 'a' in {'a': 1}", true],
    ["[1, 2] + [3] == [1, 2, 3]", true],
    ["'\\u0041\\x42\\103' == 'ABC'", true],
    ["0x50 == 80 // a comment", true],
    ["_flow.source.workloads.exists(w, w.kind == 'Pod' && w.name == 'xwing')", true],
    ["_flow.socket_cookie == 0", true],
  ])("%s is %s", (expression, expected) => {
    expect(compileCel(expression)(sample)).toBe(expected);
  });

  it.each([
    ["", /at 1: it ends too early/],
    ["_flow.nothing == 1", /at 6: flow\.Flow has no field nothing/],
    ["flow.verdict == 1", /there is no flow here: a flow is called _flow/],
    ["_flow.verdict", /bool is needed here, and this is int/],
    ["_flow.verdict == 'DROPPED'", /int and string cannot be compared/],
    ["_flow.source.pod_name.nope()", /there is no function nope/],
    ["_flow.source.pod_name.matches('(')", /not a regular expression/],
    ["(true", /"\)" is missing/],
    ["true true", /has ended here/],
    ["_flow.verdict @ 1", /stands in no expression/],
    ["has(1)", /has\(\) asks for a field/],
    ["!_flow.verdict", /bool is needed/],
    ["_flow.uuid.size", /string has no fields/],
    [`${"(".repeat(300)}true${")".repeat(300)}`, /nested too deeply/],
    ["'\\q' == ''", /is no escape/],
    ["startsWith('a', 'b')", /there is no function startsWith/],
  ])("that cannot be is refused: %s", (expression, message) => {
    expect(() => compileCel(expression)).toThrow(FilterError);
    expect(() => compileCel(expression)).toThrow(message);
  });
});

describe("the filter field", () => {
  it("takes expressions as alternatives", () => {
    const filter = create(flow.FlowFilterSchema, {
      experimental: { celExpression: ["_flow.verdict == Verdict.DROPPED", "_flow.source.pod_name == 'xwing'"] },
    });
    expect(compileFilter(filter)(sample)).toBe(true);
    filter.protocol = ["udp"];
    expect(compileFilter(filter)(sample)).toBe(false);
  });
});
