// The last packets' lengths in the order of their coming, and the longest of all: an object hangs in a list and is kept by a pointer too.
import {
  array,
  kptr,
  kptrXchg,
  listHead,
  ListNode,
  listPopFront,
  listPushBack,
  objDrop,
  objNew,
  Refcount,
  refcountAcquire,
  rcuReadLock,
  rcuReadUnlock,
  SpinLock,
  spinLock,
  spinUnlock,
  struct,
  tc,
  u32,
} from "@skep/bpf";

export const license = "GPL";
const Packet = struct("Packet", { length: u32, mark: u32, uses: Refcount, node: ListNode });
const Recent = struct("Recent", {
  lock: SpinLock,
  packets: listHead(Packet, "node"),
  count: u32,
  longest: kptr(Packet),
});
export const recent = array("recent", { value: Recent, maxEntries: 1 });
const KEPT = 3;

/** Remembers the packet and forgets the oldest of more than three: gives that one's mark, 0 where none is forgotten. */
export const remember = tc("remember", (ctx) => {
  const list = recent.get(0);
  const packet = objNew(Packet);
  if (!list || !packet) {
    if (packet) objDrop(packet);
    return 0xffff;
  }
  packet.length = ctx.length;
  packet.mark = ctx.mark;
  let isLongest = true;
  rcuReadLock();
  const known = list.longest;
  if (known) isLongest = ctx.length > known.length;
  rcuReadUnlock();
  if (isLongest) {
    const other = refcountAcquire(packet);
    if (other) {
      const before = kptrXchg(list, "longest", other);
      if (before) objDrop(before);
    }
  }
  spinLock(list.lock);
  listPushBack(list.packets, packet);
  list.count += 1;
  if (list.count <= KEPT) {
    spinUnlock(list.lock);
    return 0;
  }
  const oldest = listPopFront(list.packets);
  list.count -= 1;
  spinUnlock(list.lock);
  if (!oldest) return 0;
  const { mark } = oldest;
  objDrop(oldest);
  return mark;
});

/** The mark of the longest packet; 0 before there was one. */
export const longest = tc("longest", () => {
  const list = recent.get(0);
  if (!list) return 0;
  let mark: u32 = 0;
  rcuReadLock();
  const packet = list.longest;
  if (packet) mark = packet.mark;
  rcuReadUnlock();
  return mark;
});
