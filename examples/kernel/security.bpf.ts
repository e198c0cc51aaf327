// Security modules in a few lines: no file of other users' may be opened for writing by a task that is traced; sockets only of families that
// are allowed.
import { config, i32, lsm, lsmCgroup, u32, type u64 } from "@skep/bpf";
import type { file } from "./kernel.js";

export const license = "GPL";
export const family = config("family", i32, 2);
export const open = config("open", u32, 1);
const EPERM = 1;

export const fileOpen = lsm("file_open", "file_open", (opened: file, before: number) => {
  if (before !== 0) return before;
  return open.value === 0 && opened.f_pos === 0n ? -EPERM : 0;
});

export const socketCreate = lsmCgroup(
  "socket_create",
  "socket_create",
  (wanted: i32, _type: i32, _protocol: i32, _kernel: u64) => (wanted === family.value ? 1 : 0),
);
