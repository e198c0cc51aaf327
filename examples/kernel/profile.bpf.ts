// Where the CPU's time goes: stacks of what runs, many times a second, counted where they are the same.
import {
  array,
  config,
  getCurrentComm,
  getCurrentPidTgid,
  hash,
  i64,
  perfEvent,
  stackTraces,
  struct,
  u32,
  u64,
  u8,
} from "@skep/bpf";

export const license = "GPL";
export const process = config("process", u32, 0);
export const stacks = stackTraces("stacks", { frames: 64, maxEntries: 1024 });
const Place = struct("Place", { user: i64, kernel: i64, name: array(u8, 16) });
export const places = hash("places", { key: Place, value: u64, maxEntries: 1024 });
const USER_STACK = 0x100n;

export const sample = perfEvent("sample", (ctx) => {
  if (process.value !== 0 && u32(getCurrentPidTgid() >> 32n) !== process.value) return 0;
  const place = Place.zero();
  getCurrentComm(place.name);
  place.user = stacks.id(ctx, USER_STACK);
  place.kernel = stacks.id(ctx, 0n);
  const counter = places.ref(place);
  if (counter) counter.value += 1n;
  else places.set(place, 1n);
  return 0;
});
