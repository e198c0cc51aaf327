import { addressOf } from "@skep/net";
import type { FibAnswer, FibQuery } from "@skep/vm";
import type { SimNamespace } from "./namespace.ts";

/** BPF_FIB_LKUP_RET_* (include/uapi/linux/bpf.h). */
const RESULT = {
  success: 0,
  unreachable: 2,
  notForwarded: 4,
  forwardingDisabled: 5,
  noNeighbour: 7,
  tooLong: 8,
} as const;

/** bpf_fib_lookup against the namespace's routes and neighbours (net/core/filter.c: bpf_ipv4_fib_lookup). */
export function fibLookup(namespace: SimNamespace, query: FibQuery): FibAnswer {
  const destination = addressOf(query.destination);
  const family = destination.family === 4 ? "ipv4" : "ipv6";
  const forwards = namespace.sysctl(destination.family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding");
  if (forwards !== "1") return { result: RESULT.forwardingDisabled };
  if (namespace.isOwn(destination)) return { result: RESULT.notForwarded };
  const route = namespace.route(destination);
  const device = route && namespace.device(route.interface);
  if (!route || !device) return { result: RESULT.unreachable };
  const mtu = route.mtu ?? device.mtu;
  const found = { interfaceIndex: device.index, mtu, ...(route.gateway ? { gateway: route.gateway.bytes } : {}) };
  if (query.totalLength > mtu) return { ...found, result: RESULT.tooLong };
  const next = route.gateway ?? destination;
  const mac = namespace.neighbour(device.index, next);
  if (!mac) return { ...found, result: RESULT.noNeighbour };
  const source = route.source ?? namespace.addressesOf(device.index, family === "ipv4" ? 4 : 6)[0];
  return {
    ...found,
    result: RESULT.success,
    sourceMac: device.mac,
    destinationMac: mac,
    ...(source ? { source: source.bytes } : {}),
  };
}
