// A list in memory that user space maps too: the kernel appends, user space follows the same pointers without a system call.
import { arena, array, global, struct, syscall, tc, u32, u64, u8 } from "@skep/bpf";

export const license = "GPL";
export const heap = arena("heap", { pages: 64 });
export const Entry = struct("Entry", { next: u64, length: u32, first: array(u8, 4) });
/** Newest first. */
export const head = global("head", u64);
/** What the packets may use. */
export const free = global("free", u64);
export const end = global("end", u64);
export const Size = struct("Size", { pages: u32 });

/** Gives the packets so many pages; 1 where there are none. */
export const grow = syscall("grow", Size, (size) => {
  const address = heap.allocate(size.pages);
  if (address === 0n) return 1;
  free.value = address;
  end.value = address + u64(size.pages) * 4096n;
  return 0;
});

/** Appends an entry with the packet's length and its first bytes; 1 where there is no room. */
export const append = tc("append", (ctx) => {
  const at: u64 = free.value;
  if (at + u64(Entry.size) > end.value) return 1;
  const entry = heap.at(Entry, at);
  const packet = ctx.header(Entry, 0);
  if (!entry || !packet) return 2;
  entry.next = head.value;
  entry.length = ctx.length;
  entry.first = packet.first;
  free.value = at + u64(Entry.size);
  head.value = at;
  return 0;
});

/** The lengths of all entries together. */
export const sum = tc("sum", () => {
  let total = 0;
  let entry = heap.at(Entry, head.value);
  for (let count = 0; count < 1000 && entry; count++) {
    total += entry.length;
    entry = heap.at(Entry, entry.next);
  }
  return total;
});

/** Gives the pages back. */
export const clear = syscall("clear", Size, (size) => {
  heap.free(end.value - u64(size.pages) * 4096n, size.pages);
  head.value = 0n;
  free.value = end.value;
  return 0;
});
