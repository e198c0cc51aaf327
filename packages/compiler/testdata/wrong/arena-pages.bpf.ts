import { arena } from "@skep/bpf";
export const heap = arena("heap", { pages: 0 });
