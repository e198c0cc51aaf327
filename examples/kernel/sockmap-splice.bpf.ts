// A proxy that never sees the bytes: messages are cut by their length (a first byte that says it), and given to the next socket.
import {
  config,
  global,
  skbLoadBytes,
  skRedirectMap,
  SK,
  skSkbParser,
  skSkbVerdict,
  sockMap,
  struct,
  u32,
  u64,
  u8,
} from "@skep/bpf";

export const sockets = sockMap("sockets", { maxEntries: 4 });
export const to = config("to", u32, 1);
export const messages = global("messages", u64);
const Head = struct("Head", { length: u8 });

export const parser = skSkbParser("parser", (ctx) => {
  const head = Head.zero();
  return skbLoadBytes(ctx, 0, head) === 0n ? u32(head.length) + 1 : 0;
});

export const verdict = skSkbVerdict("verdict", (ctx) => {
  const head = Head.zero();
  if (skbLoadBytes(ctx, 0, head) !== 0n || head.length === 0) return SK.DROP;
  messages.value += 1n;
  return skRedirectMap(ctx, sockets, to.value, 0n) === 1n ? SK.PASS : SK.DROP;
});
