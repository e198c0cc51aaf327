import { describe, expect, it } from "vitest";
import { type Address, parseAddress } from "@skep/net";
import { parseDocuments } from "@skep/policy";
import {
  ASKED_STATES,
  type AskedState,
  BACKEND_STATE,
  BackendStateError,
  changeBetween,
  isEmptyChange,
  LoadBalancer,
  NoBackendError,
  parseEndpointSlice,
  parseService,
} from "../src/load-balancer/index.ts";
import { FakeMaps } from "./fake-maps.ts";

const at = (text: string): Address => {
  const address = parseAddress(text);
  if (!address) throw new Error(text);
  return address;
};
const [A, B] = ["192.0.2.10", "192.0.2.11"];
const end = (address = A): { address: Address; port: number; protocol: number } => ({
  ...{ address: at(address), port: 8080, protocol: 6 },
});

const ENDING = "conditions: { ready: false, serving: true, terminating: true }";

function apply(target: LoadBalancer, text: string): void {
  for (const document of parseDocuments("x.yaml", text).foreign) {
    const service = document.kind === "Service" ? parseService(document, "x.yaml") : null;
    const slice = document.kind === "EndpointSlice" ? parseEndpointSlice(document, "x.yaml") : null;
    if (service?.spec) target.setService(service.spec);
    else if (slice?.spec) target.setEndpointSlice(slice.spec);
    else throw new Error(JSON.stringify([service?.diagnostics, slice?.diagnostics]));
  }
}
const service = (name: string, address: string, more = ""): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { clusterIP: ${address}, ports: [{ port: 80 }]${more} }
`;
const slice = (name: string, ...endpoints: readonly string[]): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}-1, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
endpoints: [${endpoints.map((each) => `{ addresses: [${each.replace(" ", "], ")}${each.includes(" ") ? "" : "]"} }`).join(", ")}]
ports: [{ port: 8080 }]
`;

/** Two services that have both backends, and the maps that their changes make. */
function world(): { target: LoadBalancer; maps: FakeMaps; commit: () => void } {
  const target = new LoadBalancer({ maglevTableSize: 251, algorithm: "maglev", externalClusterIp: true });
  const maps = new FakeMaps();
  for (const [name, address] of [
    ["web", "10.96.0.1"],
    ["shop", "10.96.0.2"],
  ] as const) {
    apply(target, service(name, address, ", sessionAffinity: ClientIP"));
    apply(target, slice(name, A, B));
  }
  const commit = (): void => {
    maps.apply(target.commit());
    maps.check();
    expect(isEmptyChange(changeBetween(maps.rows(), target.rows()))).toBe(true);
  };
  commit();
  return { target, maps, commit };
}
const master = (target: LoadBalancer, address: string) =>
  target
    .rows()
    .services.find((row) => row.slot === 0 && row.port === 80 && row.address.bytes[3] === at(address).bytes[3]);
const stateOf = (target: LoadBalancer, address = A): number | undefined =>
  target.rows().backends.find((row) => row.address.bytes[3] === at(address).bytes[3])?.state;

describe("states of backends", () => {
  it.each([
    ["active", ["active", "quarantined", "maintenance"]],
    ["quarantined", ["active", "quarantined"]],
    ["maintenance", ["active", "maintenance"]],
  ] as const)("%s can become %j, and nothing else", (from, allowed: readonly AskedState[]) => {
    for (const to of ASKED_STATES) {
      const { target, commit } = world();
      target.setBackendState(end(), from);
      commit();
      const set = (): string[] => target.setBackendState(end(), to);
      if (allowed.includes(to)) expect(set()).toEqual(["default/shop", "default/web"]);
      else expect(set).toThrow(/: (quarantined|maintenance) follows on active alone/);
      commit();
      expect(stateOf(target)).toBe(BACKEND_STATE[(allowed.includes(to) ? to : from).toUpperCase() as "ACTIVE"]);
    }
  });

  it("of one that is terminating, or nowhere, are not changed", () => {
    const { target } = world();
    for (const name of ["web", "shop"]) apply(target, slice(name, `${A} ${ENDING}`, B));
    for (const state of ASKED_STATES) {
      expect(() => target.setBackendState(end(), state)).toThrow(BackendStateError);
      expect(() => target.setBackendState(end(), state)).toThrow(
        /192\.0\.2\.10:8080\/TCP is terminating, and stays so/,
      );
      expect(() => target.setBackendState({ ...end(), protocol: 17 }, state)).toThrow(NoBackendError);
      expect(() => target.setBackendState(end("192.0.2.99"), state)).toThrow(
        "no service has the backend 192.0.2.99:8080/TCP",
      );
    }
  });

  it("decide who gets new connections, in all services at once", () => {
    const { target, commit } = world();
    const tables = (): Set<number> => new Set(target.rows().maglev.flatMap(({ table }) => [...table]));
    expect([tables().size, target.rows().affinity.length]).toEqual([2, 4]);
    target.setBackendState(end(), "quarantined");
    commit();
    for (const vip of ["10.96.0.1", "10.96.0.2"])
      expect(master(target, vip)).toMatchObject({ count: 1, quarantined: 1 });
    expect([tables().size, target.rows().affinity.length]).toEqual([1, 2]);
    target.setBackendState(end(), "active");
    target.setBackendState(end(), "maintenance");
    commit();
    // It has a row, for its connections, and no slot.
    for (const vip of ["10.96.0.1", "10.96.0.2"])
      expect(master(target, vip)).toMatchObject({ count: 1, quarantined: 0 });
    expect(target.rows().services.filter(({ slot }) => slot > 0)).toHaveLength(2);
    expect(stateOf(target)).toBe(BACKEND_STATE.MAINTENANCE);
    target.setBackendState(end(B), "quarantined");
    commit();
    expect(master(target, "10.96.0.1")).toMatchObject({ count: 0, quarantined: 1 });
    expect(target.rows().maglev).toEqual([]);
  });

  it("stay through other changes, give way to the end of a workload but for maintenance, and go with the backend", () => {
    for (const [state, ending] of [
      ["quarantined", BACKEND_STATE.TERMINATING],
      ["maintenance", BACKEND_STATE.MAINTENANCE],
    ] as const) {
      const { target, commit } = world();
      target.setBackendState(end(), state);
      apply(target, slice("web", A, B, "192.0.2.12"));
      apply(target, service("web", "10.96.0.7"));
      commit();
      expect(stateOf(target)).toBe(BACKEND_STATE[state.toUpperCase() as "QUARANTINED"]);
      for (const name of ["web", "shop"]) apply(target, slice(name, `${A} ${ENDING}`));
      commit();
      expect(stateOf(target)).toBe(ending);
      expect(master(target, "10.96.0.7")?.count).toBe(state === "quarantined" ? 1 : 0);
      apply(target, slice("web", B));
      commit();
      expect(target.snapshot().states).toHaveLength(1);
      apply(target, slice("shop", B));
      commit();
      expect(target.snapshot().states).toEqual([]);
      apply(target, slice("web", A));
      commit();
      expect(stateOf(target)).toBe(BACKEND_STATE.ACTIVE);
    }
  });

  it("outlive a restart with those who have them", () => {
    const { target, commit } = world();
    target.setBackendState(end(), "quarantined");
    target.setBackendState(end(B), "maintenance");
    commit();
    const snapshot = JSON.parse(JSON.stringify(target.snapshot())) as ReturnType<LoadBalancer["snapshot"]>;
    const again = new LoadBalancer({ maglevTableSize: 251 });
    again.restore(snapshot);
    // Not all has been read yet.
    apply(again, service("web", "10.96.0.1"));
    again.commit();
    apply(again, slice("web", A));
    again.commit();
    again.restored();
    expect(stateOf(again)).toBe(BACKEND_STATE.QUARANTINED);
    expect(again.snapshot().states).toHaveLength(1);
    expect(() => again.setBackendState(end(), "maintenance")).toThrow(BackendStateError);
  });
});
