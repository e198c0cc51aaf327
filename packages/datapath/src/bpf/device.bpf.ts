// The host's outer interfaces.
import { hash, lpmTrie, struct, u32, type Of } from "@skep/bpf";
import { Address, IpcacheKey, Mac } from "./maps.bpf.ts";

/** An outer interface. An address of zeros: what leaves in that family keeps its own. */
export const Device = struct("Device", { address: Address, address6: Address });
export const devices = hash("skep_devices", { key: u32, value: Device, maxEntries: 256 });

/**
 * On the way to a prefix: the interface, and where they are known its own MAC address and the next router's or the host's, and the longest packet
 * behind them (0: not known).
 */
export const NextHop = struct("NextHop", { ifindex: u32, hasMacs: u32, source: Mac, destination: Mac, mtu: u32 });
export type NextHop = Of<typeof NextHop>;
export const nextHops = lpmTrie("skep_next_hops", { key: IpcacheKey, value: NextHop, maxEntries: 16_384 });
