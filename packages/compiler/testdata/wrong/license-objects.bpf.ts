import { dynptrFromPacket, objDrop, objNew, rcuReadLock, rcuReadUnlock, struct, tc, TC, u32 } from "@skep/bpf";
const Node = struct("Node", { value: u32 });
export const main = tc("main", (ctx) => {
  const packet = dynptrFromPacket(ctx);
  if (packet.size > 100) return TC.OK;
  rcuReadLock();
  rcuReadUnlock();
  const node = objNew(Node);
  if (node) objDrop(node);
  return TC.OK;
});
