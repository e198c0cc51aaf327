// An option of our own in every TCP header (RFC 6994): who sent the segment. It is written on one side and counted on the other.
import {
  be16,
  config,
  global,
  loadHdrOpt,
  reserveHdrOpt,
  sockOps,
  sockOpsCbFlagsSet,
  storeHdrOpt,
  struct,
  u32,
  u64,
  u8,
} from "@skep/bpf";

export const identity = config("identity", u32, 4711);
const Option = struct("Option", { kind: u8, length: u8, magic: be16, identity: u32 });
export const written = global("written", u64);
export const read = global("read", u64);
export const seen = global("seen", u32);

const KIND = 254;
const MAGIC = 0x534b;
const OP = { CONNECT: 3, ACTIVE: 4, PASSIVE: 5, PARSE: 13, LENGTH: 14, WRITE: 15, LISTEN: 11 } as const;
/** BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG and BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG. */
const FLAGS = 0x10 | 0x40;

export const options = sockOps("options", (ctx) => {
  switch (ctx.op) {
    case OP.CONNECT:
    case OP.LISTEN:
    case OP.ACTIVE:
    case OP.PASSIVE:
      sockOpsCbFlagsSet(ctx, FLAGS);
      break;
    case OP.LENGTH:
      reserveHdrOpt(ctx, Option.size, 0n);
      break;
    case OP.WRITE: {
      const option = { ...Option.zero(), kind: KIND, length: Option.size, magic: MAGIC, identity: identity.value };
      if (storeHdrOpt(ctx, option, 0n) === 0n) written.value += 1n;
      break;
    }
    case OP.PARSE: {
      const option = { ...Option.zero(), kind: KIND, length: 4, magic: MAGIC };
      if (loadHdrOpt(ctx, option, 0n) > 0n) {
        read.value += 1n;
        seen.value = option.identity;
      }
      break;
    }
  }
  return 1;
});
