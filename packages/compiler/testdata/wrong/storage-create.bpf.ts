import { skStorage, tc, u64 } from "@skep/bpf";
export const marks = skStorage("marks", { value: u64 });
export const main = tc("main", (ctx) => {
  const socket = ctx.socket;
  return socket && marks.get(socket, ctx.length > 4) === null ? 0 : 1;
});
