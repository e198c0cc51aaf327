import { enumValue, tc, u32 } from "@skep/bpf";
export const main = tc("main", (ctx) => u32(enumValue(181)));
