// An overlay in its shortest form: packets to a device without an address of its own get one, and what came by a tunnel is told.
import {
  config,
  ktimeGetNs,
  ringBuf,
  skbGetTunnelKey,
  skbSetTunnelKey,
  struct,
  TC,
  tc,
  u16,
  u32,
  u64,
  u8,
} from "@skep/bpf";

export const license = "GPL";

/** struct bpf_tunnel_key, as long as it was before IPv6. */
const Key = struct("TunnelKey", {
  id: u32,
  remote: u32,
  r1: u32,
  r2: u32,
  r3: u32,
  tos: u8,
  ttl: u8,
  ext: u16,
  label: u32,
});

export const remote = config("remote", u32, 0);
export const spacing = config("spacing", u64, 0n);
export const came = ringBuf("came", Key, { bytes: 4096 });

export const encap = tc("encap", (ctx) => {
  const key = Key.zero();
  key.id = 42;
  key.remote = remote.value;
  key.ttl = 9;
  return skbSetTunnelKey(ctx, key, 0n) === 0n ? TC.OK : TC.SHOT;
});

export const decap = tc("decap", (ctx) => {
  const key = Key.zero();
  if (skbGetTunnelKey(ctx, key, 0n) !== 0n) return TC.SHOT;
  came.emit(key);
  return TC.OK;
});

export const pace = tc("pace", (ctx) => {
  ctx.timestamp = ktimeGetNs() + spacing.value;
  return TC.OK;
});
