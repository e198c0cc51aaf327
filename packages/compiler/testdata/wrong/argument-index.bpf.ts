import { array, struct, syscall, u32 } from "@skep/bpf";
const A = struct("A", { words: array(u32, 8), at: u32 });
export const main = syscall("main", A, (a) => {
  a.words[a.at & 7] = 1;
  return 0;
});
