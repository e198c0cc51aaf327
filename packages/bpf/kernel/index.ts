// What `@skep/bpf` is under the condition `skep-kernel`: declarations alone; the compiler knows the rest.
// oxlint-disable-next-line triple-slash-reference -- globals are declared, not imported
/// <reference path="./globals.d.ts" />
export * from "../src/kernel.ts";
