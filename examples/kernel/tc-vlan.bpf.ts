// Tags what leaves with the VLAN of its mark.
import { config, skbVlanPop, skbVlanPush, tc, TC, u16 } from "@skep/bpf";
import { ETHERTYPE } from "@skep/bpf/net";

export const base = config("base", u16, 100);

export const tag = tc("tag", (ctx) => {
  if (ctx.mark === 0 || ctx.mark > 50) return TC.OK;
  const id: u16 = base.value + u16(ctx.mark);
  return skbVlanPush(ctx, ETHERTYPE.VLAN, id) === 0n ? TC.OK : TC.SHOT;
});

/** The other way: the tag becomes the mark. */
export const untag = tc("untag", (ctx) => {
  if (ctx.vlanPresent === 0) return TC.OK;
  ctx.mark = (ctx.vlanTag & 0xfff) - base.value;
  return skbVlanPop(ctx) === 0n ? TC.OK : TC.SHOT;
});
