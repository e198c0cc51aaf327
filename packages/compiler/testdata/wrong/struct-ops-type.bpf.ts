import { structOps } from "@skep/bpf";
export const ops = structOps<{ name: number }>("ops", { name: 1 });
