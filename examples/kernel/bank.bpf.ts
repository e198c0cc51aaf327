// Two values that change together: a lock in the map's value, released on every way out.
import { array, SpinLock, spinLock, spinUnlock, struct, tc, u32, u64 } from "@skep/bpf";

const Account = struct("Account", { lock: SpinLock, left: u64, right: u64, moves: u32 });
export const accounts = array("accounts", { value: Account, maxEntries: 1 });

/** Moves as much as the packet is long from left to right, while there is enough. */
export const move = tc("move", (ctx) => {
  const account = accounts.get(0);
  if (!account) return 0;
  const amount = u64(ctx.length);
  spinLock(account.lock);
  try {
    if (account.left < amount) return 2;
    account.left -= amount;
    account.right += amount;
    account.moves += 1;
  } finally {
    spinUnlock(account.lock);
  }
  return 0;
});
