// What `@skep/bpf` is under the condition `skep-kernel`: declarations alone; the compiler knows the rest.
/// <reference path="./globals.d.ts" />
export * from "../src/kernel.ts";
