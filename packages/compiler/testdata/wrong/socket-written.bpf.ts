import { tc } from "@skep/bpf";
export const main = tc("main", (ctx) => {
  const socket = ctx.socket;
  if (socket) (socket as { mark: number }).mark = 1;
  return 0;
});
