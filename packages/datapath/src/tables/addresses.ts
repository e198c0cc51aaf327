/**
 * @module
 * Local workloads, and the identities of addresses.
 */
import { type Address, formatMac, formatPrefix } from "@skep/net";
import * as maps from "../bpf/maps.bpf.ts";
import { decodeAddress } from "../encode.ts";
import { addressText, table, text } from "./table.ts";

const prefixOf = (key: ReturnType<typeof maps.IpcacheKey.decode>): string => {
  const address: Address = decodeAddress(key.address);
  return formatPrefix({ address, length: address.family === 4 ? key.prefixLength - 96 : key.prefixLength });
};

export const ipcache = table({
  name: "ipcache",
  summary: "identities of addresses",
  map: "skep_ipcache",
  columns: [
    ["PREFIX", text("prefix")],
    ["IDENTITY", text("identity")],
  ],
  *rows(map) {
    for (const [key, value] of map.entries())
      yield { prefix: prefixOf(maps.IpcacheKey.decode(key)), identity: maps.IpcacheEntry.decode(value).identity };
  },
});

/** Prefixes behind other nodes. */
export const tunnels = table({
  name: "tunnel",
  summary: "prefixes behind other nodes",
  map: "skep_ipcache",
  columns: [
    ["PREFIX", text("prefix")],
    ["TUNNEL ENDPOINT", text("tunnel")],
    ["IDENTITY", text("identity")],
  ],
  *rows(map) {
    for (const [key, value] of map.entries()) {
      const { tunnel, identity } = maps.IpcacheEntry.decode(value);
      const to = addressText(tunnel);
      if (to !== "") yield { prefix: prefixOf(maps.IpcacheKey.decode(key)), tunnel: to, identity };
    }
  },
});

export const endpoints = table({
  name: "endpoint",
  summary: "local workloads by interface",
  map: "skep_ep_if",
  columns: [
    ["ENDPOINT", text("id")],
    ["IDENTITY", text("identity")],
    ["IPV4", text("ipv4")],
    ["IPV6", text("ipv6")],
    ["INTERFACE", text("ifindex")],
    ["MAC", text("mac")],
    ["NODE MAC", text("nodeMac")],
    ["GENERATION", text("generation")],
  ],
  *rows(map) {
    for (const [, value] of map.entries()) {
      const row = maps.Endpoint.decode(value);
      yield {
        id: row.id,
        identity: row.identity,
        ipv4: addressText(row.address),
        ipv6: addressText(row.address6),
        ifindex: row.ifindex,
        mac: formatMac(Uint8Array.from(row.mac.bytes)),
        nodeMac: formatMac(Uint8Array.from(row.hostMac.bytes)),
        /** Of the policy in force. */
        generation: row.generation,
      };
    }
  },
});
