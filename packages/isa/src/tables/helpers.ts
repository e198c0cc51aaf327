import { helperRows } from "./helper-rows.ts";

/** A helper's name without `bpf_`. */
export type HelperName = (typeof helperRows)[number][1];

/** A parameter of a helper. */
export interface HelperParameter {
  readonly name: string;
  /** `u16 u32 u64 s32 s64`, `*` for a pointer, `*name` for a pointer to that struct or scalar. */
  readonly type: string;
}

/** What the uapi header says about a helper; what the verifier asks of it is the verifier's matter. */
export interface Helper {
  /** enum bpf_func_id. */
  readonly id: number;
  /** Without `bpf_`. */
  readonly name: HelperName;
  readonly parameters: readonly HelperParameter[];
  /** Only trace_printk: up to three more u64 parameters. */
  readonly variadic: boolean;
  /** `void`, `u32 u64 s32 s64`, `*` or `*name`. */
  readonly returns: string;
  /** After a call all packet pointers are invalid. */
  readonly changesPacketData: boolean;
}

// bpf_helper_changes_pkt_data, net/core/filter.c. tail_call since 6.13.
const changing = new Set<HelperName>([
  "skb_store_bytes",
  "l3_csum_replace",
  "l4_csum_replace",
  "tail_call",
  "clone_redirect",
  "skb_vlan_push",
  "skb_vlan_pop",
  "skb_change_proto",
  "skb_change_tail",
  "skb_pull_data",
  "skb_change_head",
  "xdp_adjust_head",
  "skb_adjust_room",
  "xdp_adjust_meta",
  "msg_pull_data",
  "xdp_adjust_tail",
  "lwt_push_encap",
  "lwt_seg6_store_bytes",
  "lwt_seg6_adjust_srh",
  "lwt_seg6_action",
  "msg_push_data",
  "msg_pop_data",
  "store_hdr_opt",
]);

function toHelper([id, name, returns, text]: (typeof helperRows)[number]): Helper {
  const words = text === "" ? [] : text.split(" ");
  const parameters = words
    .filter((word) => word !== "...")
    .map((word) => {
      const colon = word.indexOf(":");
      return { name: word.slice(0, colon), type: word.slice(colon + 1) };
    });
  return {
    id,
    name,
    parameters,
    variadic: words.includes("..."),
    returns,
    changesPacketData: changing.has(name),
  };
}

/** All 211 helpers in the order of their numbers. */
export const helpers: readonly Helper[] = helperRows.map(toHelper);

const byId = new Map(helpers.map((helper) => [helper.id, helper]));
const byName = new Map<string, Helper>(helpers.map((helper) => [helper.name, helper]));

/** The helper of that number, null if the kernel has none. */
export function helperById(id: number): Helper | null {
  return byId.get(id) ?? null;
}

/** The helper of that name, with or without `bpf_`; null if there is none. */
export function helperByName(name: string): Helper | null {
  return byName.get(name.startsWith("bpf_") ? name.slice(4) : name) ?? null;
}
