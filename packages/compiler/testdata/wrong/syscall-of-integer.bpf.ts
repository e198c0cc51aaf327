import { syscall, u32 } from "@skep/bpf";
export const main = syscall("main", u32, () => 0);
