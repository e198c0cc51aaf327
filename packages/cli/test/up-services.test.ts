import { describe, expect, test } from "vitest";
import { balancingOf } from "../src/commands/up-services.ts";

const flags: Parameters<typeof balancingOf>[0] = {
  lbAlgorithm: "random",
  maglevTableSize: "16381",
  lbMode: "snat",
  lbDsrDispatch: "opt",
  routing: "native",
  tunnelProtocol: "vxlan",
  lbAcceleration: "disabled",
  lbNoBackend: "reject",
  lbTerminate: "udp",
  nodePortRange: "30000,32767",
};

describe("what skep up is told about services", () => {
  test("as the agent takes it", () => {
    expect(
      balancingOf({
        ...flags,
        devices: "eth0",
        lbMode: "dsr",
        lbAcceleration: "generic",
        lbNoBackend: "drop",
        nodePortRange: "20000,20999",
      }),
    ).toEqual({
      healthCheckPorts: true,
      loadBalancer: {
        ...{ algorithm: "random", maglevTableSize: 16_381, mode: "dsr", directReturn: true },
        nodePortRange: [20_000, 20_999],
      },
      ...{ lbAcceleration: "generic", lbNoBackend: "drop", lbTerminate: "udp", lbDispatch: "option" },
    });
    for (const lbDsrDispatch of ["ipip", "geneve"] as const)
      expect(balancingOf({ ...flags, lbDsrDispatch }).lbDispatch).toBe(lbDsrDispatch);
  });

  test.each(["30000", "30000-32767", "32767,30000", "0,5", "1,65536", "a,b", ""])("no range: %j", (nodePortRange) => {
    expect(() => balancingOf({ ...flags, nodePortRange })).toThrow(/--node-port-range/);
  });

  test("XDP is at devices, and what was asked is told on native ways", () => {
    expect(() => balancingOf({ ...flags, lbAcceleration: "native" })).toThrow(/needs --devices/);
    expect(() => balancingOf({ ...flags, lbMode: "dsr", routing: "vxlan" })).toThrow(/needs --routing native/);
    const told = { ...flags, lbMode: "dsr", lbDsrDispatch: "geneve", routing: "tunnel" } as const;
    expect(() => balancingOf(told)).toThrow(/needs --routing native/);
    expect(() => balancingOf({ ...told, lbDsrDispatch: "opt", tunnelProtocol: "geneve" })).toThrow(/dispatch geneve/);
    expect(balancingOf({ ...told, tunnelProtocol: "geneve" }).lbDispatch).toBe("geneve");
    expect(balancingOf({ ...told, routing: "geneve" }).lbDispatch).toBe("geneve");
    // What a service's annotation may ask for.
    const bears = (over: object): unknown => balancingOf({ ...flags, ...over }).loadBalancer?.directReturn;
    expect(bears({ routing: "vxlan" })).toBe(false);
    expect(bears({ routing: "geneve" })).toBe(false);
    expect(bears({ routing: "geneve", lbDsrDispatch: "geneve" })).toBe(true);
  });

  test("the IP families are translated at devices", () => {
    expect(() => balancingOf({ ...flags, nat46x64: "gateway" })).toThrow(/--nat46x64 needs --devices/);
    for (const nat46x64 of ["services", "gateway"] as const)
      expect(balancingOf({ ...flags, devices: "eth0", nat46x64 })).toMatchObject({
        ...{ nat46x64, loadBalancer: { nat46x64: true } },
      });
    expect(balancingOf({ ...flags, devices: "eth0" })).not.toHaveProperty("nat46x64");
  });

  test("prefixes are denied at devices", () => {
    expect(() => balancingOf({ ...flags, prefilterCidrs: "bad.txt" })).toThrow(/--prefilter-cidrs needs --devices/);
    expect(balancingOf({ ...flags, devices: "eth0", prefilterCidrs: "/etc/bad.txt" }).prefilterFile).toBe(
      "/etc/bad.txt",
    );
  });
});
