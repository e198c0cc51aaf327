/**
 * @module
 * Changes of links, addresses, routes, neighbours and rules as they happen.
 */
import type { Watch } from "../sys/index.ts";
import { type AddressInfo, addressMessages, decodeAddress } from "./addresses.ts";
import { decodeLink, type LinkInfo, linkMessages } from "./links.ts";
import type { Message } from "./message.ts";
import { decodeNeighbour, type NeighbourInfo, neighbourMessages } from "./neighbours.ts";
import { decodeRoute, type RouteInfo, routeMessages } from "./routes.ts";
import { decodeRule, type RuleInfo, ruleMessages } from "./rules.ts";
import { NetlinkSocket } from "./socket.ts";

/** RTNLGRP_*. */
const groups = {
  links: [1],
  neighbours: [3],
  addresses: [5, 9],
  routes: [7, 11],
  rules: [8, 19],
} as const;
export type Subject = keyof typeof groups;

export type NetworkChange = { readonly change: "set" | "deleted" } & (
  | { readonly subject: "links"; readonly link: LinkInfo }
  | { readonly subject: "addresses"; readonly address: AddressInfo }
  | { readonly subject: "routes"; readonly route: RouteInfo }
  | { readonly subject: "neighbours"; readonly neighbour: NeighbourInfo }
  | { readonly subject: "rules"; readonly rule: RuleInfo }
);

export function decodeChange(message: Message): NetworkChange | null {
  const { type, payload } = message;
  switch (type) {
    case linkMessages.new:
    case linkMessages.delete:
      return { subject: "links", change: type === linkMessages.new ? "set" : "deleted", link: decodeLink(payload) };
    case addressMessages.new:
    case addressMessages.delete:
      return {
        subject: "addresses",
        change: type === addressMessages.new ? "set" : "deleted",
        address: decodeAddress(payload),
      };
    case routeMessages.new:
    case routeMessages.delete:
      return { subject: "routes", change: type === routeMessages.new ? "set" : "deleted", route: decodeRoute(payload) };
    case neighbourMessages.new:
    case neighbourMessages.delete:
      return {
        subject: "neighbours",
        change: type === neighbourMessages.new ? "set" : "deleted",
        neighbour: decodeNeighbour(payload),
      };
    case ruleMessages.new:
    case ruleMessages.delete:
      return { subject: "rules", change: type === ruleMessages.new ? "set" : "deleted", rule: decodeRule(payload) };
    default:
      return null;
  }
}

/** A socket, in the namespace that this thread is in now, whose `discard` says whether there were changes of these. */
export function changesOf(subjects: readonly Subject[]): NetlinkSocket {
  const socket = NetlinkSocket.open();
  try {
    socket.join(subjects.flatMap((subject) => [...groups[subject]]));
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}

export interface NetworkWatch {
  close(): void;
  /** Lets the process end although the watch is on. */
  unref(): void;
}

/**
 * Calls `onChange` for every change in the namespace that this thread is in now, until closed. `onLost`: the kernel dropped changes
 * because they were not read fast enough; read the tables anew.
 */
export function watchNetwork(
  subjects: readonly Subject[],
  onChange: (change: NetworkChange) => void,
  onLost: () => void,
): NetworkWatch {
  const socket = NetlinkSocket.open();
  let watch: Watch;
  try {
    const wanted = subjects.flatMap((subject) => [...groups[subject]]);
    const handle = (message: Message): void => {
      const change = decodeChange(message);
      if (change) onChange(change);
    };
    watch = socket.watch(wanted, handle, onLost);
  } catch (error) {
    socket.close();
    throw error;
  }
  return {
    close() {
      watch.close();
      socket.close();
    },
    unref: () => watch.unref(),
  };
}
