import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { context, event } from "../../test/fixtures.ts";
import { recordOf } from "../index.ts";
import { FilterError } from "./error.ts";
import { compileFilter, compileFilters } from "./filter.ts";
import { compileMask } from "./mask.ts";
import { compileSelector } from "./selector.ts";

type FilterInit = MessageInitShape<typeof flow.FlowFilterSchema>;

const filterOf = (init: FilterInit): flow.FlowFilter => create(flow.FlowFilterSchema, init);

const sample: flow.Flow = {
  ...recordOf(event(), context()).flow,
  IP: create(flow.IPSchema, {
    source: "10.0.1.11",
    destination: "10.0.1.22",
    ipVersion: flow.IPVersion.IPv4,
    sourceXlated: "192.168.0.1",
  }),
  sourceNames: ["api.example.com."],
  destinationService: create(flow.ServiceSchema, { namespace: "default", name: "deathstar" }),
  nodeLabels: ["kubernetes.io/os=linux"],
  traceContext: create(flow.TraceContextSchema, { parent: { traceId: "abc" } }),
  ipTraceId: create(flow.IPTraceIDSchema, { traceId: 7n }),
};

const http = create(flow.FlowSchema, {
  l7: {
    record: {
      case: "http",
      value: { code: 404, method: "GET", url: "http://x.test/v1/a?b=c", headers: [{ key: "h", value: "v" }] },
    },
  },
});
const dns = create(flow.FlowSchema, { l7: { record: { case: "dns", value: { query: "a.example.com." } } } });

describe("fields of a filter", () => {
  const cases: [FilterInit, boolean][] = [
    [{}, true],
    [{ sourceIp: ["10.0.1.11"] }, true],
    [{ sourceIp: ["10.0.2.0/24", "10.0.1.0/24"] }, true],
    [{ sourceIp: ["10.0.1.1"] }, false],
    [{ sourceIp: ["fd00::/8"] }, false],
    [{ destinationIp: ["10.0.1.22/32"] }, true],
    [{ sourceIpXlated: ["192.168.0.0/16"] }, true],
    [{ sourcePod: ["xwing"] }, true],
    [{ sourcePod: ["default/xw"] }, true],
    [{ sourcePod: ["default/"] }, true],
    [{ sourcePod: ["/xw"] }, true],
    [{ sourcePod: ["kube-system/"] }, false],
    [{ sourcePod: ["wing"] }, false],
    [{ destinationPod: ["deathstar"] }, true],
    [{ destinationService: ["deathstar"] }, true],
    [{ sourceService: ["deathstar"] }, false],
    [{ sourceFqdn: ["*.example.com"] }, true],
    [{ sourceFqdn: ["example.com"] }, false],
    [{ destinationFqdn: ["*"] }, false],
    [{ sourceLabel: ["app=xwing"] }, true],
    [{ sourceLabel: ["k8s:app in (a, xwing)", "nothing"] }, true],
    [{ destinationLabel: ["app!=deathstar"] }, false],
    [{ sourceWorkload: [{ name: "xwing" }] }, true],
    [{ sourceWorkload: [{ name: "xwing", kind: "Deployment" }] }, false],
    [{ destinationWorkload: [{ kind: "Pod" }] }, true],
    [{ sourceClusterName: ["default"] }, true],
    [{ destinationClusterName: ["other"] }, false],
    [{ sourceIdentity: [1, 21001] }, true],
    [{ destinationIdentity: [1] }, false],
    [{ destinationPort: ["80"] }, true],
    [{ destinationPort: ["79-81"] }, true],
    [{ sourcePort: ["80"] }, false],
    [{ trafficDirection: [1] }, true],
    [{ trafficDirection: [2] }, false],
    [{ verdict: [flow.Verdict.FORWARDED] }, true],
    [{ verdict: [flow.Verdict.DROPPED] }, false],
    [{ dropReasonDesc: [133] }, false],
    [{ interface: [{ name: "veth7" }] }, true],
    [{ interface: [{ index: 8 }] }, false],
    [{ eventType: [{ type: 4 }] }, true],
    [{ eventType: [{ type: 4, matchSubType: true, subType: 3 }] }, false],
    [{ protocol: ["TCP"] }, true],
    [{ protocol: ["icmp", "udp"] }, false],
    [{ reply: [false] }, true],
    [{ reply: [true] }, false],
    [{ tcpFlags: [{ SYN: true }] }, true],
    [{ tcpFlags: [{ SYN: true, ACK: true }] }, false],
    [{ nodeName: ["endor"] }, true],
    [{ nodeName: ["default/e*"] }, true],
    [{ nodeName: ["other/endor"] }, false],
    [{ nodeName: ["default/"] }, true],
    [{ nodeLabels: ["kubernetes.io/os=linux"] }, true],
    [{ ipVersion: [1] }, true],
    [{ ipVersion: [2] }, false],
    [{ traceId: ["abc"] }, true],
    [{ ipTraceId: [7n] }, true],
    [{ uuid: ["uuid-1"] }, true],
    [{ uuid: ["uuid-9"] }, false],
    [{ encrypted: [false] }, true],
    [{ httpMethod: ["GET"] }, false],
    [{ dnsQuery: ["."] }, false],
    [{ sourcePod: ["xwing"], verdict: [flow.Verdict.DROPPED] }, false],
  ];

  it.each(cases)("%o is %s", (init, expected) => {
    expect(compileFilter(filterOf(init))(sample)).toBe(expected);
  });

  it("that has every field of the message is compiled", () => {
    const known = Object.keys(create(flow.FlowFilterSchema)).filter(
      (name) => !["$typeName", "$unknown"].includes(name),
    );
    const layer7 = ["httpStatusCode", "httpMethod", "httpPath", "httpUrl", "httpHeader", "dnsQuery"];
    const covered = new Set([...cases.flatMap(([init]) => Object.keys(init)), ...layer7]);
    expect(known.filter((name) => !covered.has(name) && name !== "experimental")).toEqual([]);
  });

  it.each([
    [{ httpStatusCode: ["404"] }, true],
    [{ httpStatusCode: ["4+"] }, true],
    [{ httpStatusCode: ["5+", "41+"] }, false],
    [{ httpMethod: ["get"] }, true],
    [{ httpPath: ["^/v1/a$"] }, true],
    [{ httpUrl: ["b=c$"] }, true],
    [{ httpHeader: [{ key: "h", value: "v" }] }, true],
    [{ httpHeader: [{ key: "h", value: "w" }] }, false],
    [{ protocol: ["http"] }, true],
  ] as [FilterInit, boolean][])("of HTTP: %j is %s", (init, expected) => {
    expect(compileFilter(filterOf(init))(http)).toBe(expected);
  });

  it("of DNS match the query", () => {
    expect(compileFilter(filterOf({ dnsQuery: ["example"] }))(dns)).toBe(true);
    expect(compileFilter(filterOf({ protocol: ["dns"] }))(dns)).toBe(true);
  });

  it.each([
    { sourceIp: ["10.0.0.256"] },
    { sourcePod: [""] },
    { destinationPort: ["70000"] },
    { destinationPort: ["9-8"] },
    { protocol: ["nonsense"] },
    { httpStatusCode: ["999"] },
    { httpPath: ["("] },
    { nodeName: ["a/b/c"] },
    { sourceLabel: ["a=b=c in"] },
    { experimental: { celExpression: ["1"] } },
  ] as FilterInit[])("that cannot be are refused: %j", (init) => {
    expect(() => compileFilter(filterOf(init))).toThrow(FilterError);
  });
});

describe("lists of filters", () => {
  const tcp = filterOf({ protocol: ["tcp"] });
  const udp = filterOf({ protocol: ["udp"] });

  it("need one of the allowed and none of the denied", () => {
    expect(compileFilters([], [])(sample)).toBe(true);
    expect(compileFilters([udp, tcp], [])(sample)).toBe(true);
    expect(compileFilters([udp], [])(sample)).toBe(false);
    expect(compileFilters([], [tcp])(sample)).toBe(false);
    expect(compileFilters([tcp], [udp])(sample)).toBe(true);
  });
});

describe("label selectors", () => {
  const labels = ["k8s:app=web", "k8s:tier=3", "reserved:host"];

  it.each([
    ["app=web", true],
    ["app==web", true],
    ["k8s:app=web", true],
    ["container:app=web", false],
    ["app!=web", false],
    ["missing!=web", true],
    ["app", true],
    ["!app", false],
    ["!missing", true],
    ["reserved:host", true],
    ["app in (api, web)", true],
    ["app notin (api, web)", false],
    ["missing notin (a)", true],
    ["app=web,tier>2", true],
    ["app=web,tier<3", false],
  ])("%s is %s", (text, expected) => {
    expect(compileSelector(text)(labels)).toBe(expected);
  });
});

describe("field masks", () => {
  it("keep what they name", () => {
    const masked = compileMask<flow.Flow>(flow.FlowSchema, ["source.pod_name", "l4.TCP.destination_port", "verdict"])(
      sample,
    );
    expect(masked.source).toMatchObject({ podName: "xwing", namespace: "", labels: [] });
    expect(masked.l4?.protocol).toMatchObject({ case: "TCP", value: { destinationPort: 80, sourcePort: 0 } });
    expect(masked.verdict).toBe(flow.Verdict.FORWARDED);
    expect(masked.destination).toBeUndefined();
    expect(masked.uuid).toBe("");
  });

  it("that name no field are refused", () => {
    expect(() => compileMask(flow.FlowSchema, ["source.nothing"])).toThrow(/no field nothing/);
    expect(() => compileMask(flow.FlowSchema, ["uuid.more"])).toThrow(FilterError);
  });
});
