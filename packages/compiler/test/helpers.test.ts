import { describe, expect, it } from "vitest";
import * as bpf from "@skep/bpf";
import { helpers } from "@skep/isa";
import { HELPERS } from "../src/lower/helper-table.ts";
import { helperSupport } from "../src/helper-support.ts";
import { kernelBuiltin } from "../src/lower/kernel.ts";
import { objectBuiltin } from "../src/lower/objects.ts";
import { printerBuiltin } from "../src/lower/printk.ts";
import { PRELUDE } from "../src/prelude.ts";

/** What the language has for a helper instead of a function of its name. */
const BY_LANGUAGE: Readonly<Record<string, string>> = {
  map_lookup_elem: "map.get",
  map_update_elem: "map.set",
  map_delete_elem: "map.delete",
  map_push_elem: "queue.push",
  map_pop_elem: "queue.pop",
  map_peek_elem: "queue.peek",
  map_lookup_percpu_elem: "map.getOn",
  for_each_map_elem: "map.forEach",
  tail_call: "programs.tailCall",
  trace_printk: "printk",
  trace_vprintk: "printk",
  seq_printf: "seqPrint",
  snprintf: "format",
  get_local_storage: "storage.get",
  sk_storage_get: "storage.get",
  sk_storage_delete: "storage.delete",
  task_storage_get: "storage.get",
  task_storage_delete: "storage.delete",
  inode_storage_get: "storage.get",
  inode_storage_delete: "storage.delete",
  cgrp_storage_get: "storage.get",
  cgrp_storage_delete: "storage.delete",
  ringbuf_output: "ring.emit",
  ringbuf_reserve: "ring.reserve",
  ringbuf_submit: "ring.submit",
  ringbuf_discard: "ring.discard",
  ringbuf_query: "ring.query",
  ringbuf_reserve_dynptr: "ring.reserveBytes",
  ringbuf_submit_dynptr: "ring.submitBytes",
  ringbuf_discard_dynptr: "ring.discardBytes",
  dynptr_from_mem: "dynptrFromMemory",
  dynptr_read: "dynptr.read",
  dynptr_write: "dynptr.write",
  dynptr_data: "dynptr.data",
  user_ringbuf_drain: "userRing.drain",
  find_vma: "findArea",
  loop: "loop",
  spin_lock: "spinLock",
  spin_unlock: "spinUnlock",
  timer_init: "timerInit",
  timer_set_callback: "timerSetCallback",
  timer_start: "timerStart",
  timer_cancel: "timerCancel",
};

/** Helpers that the language does not offer. */
const ABSENT = ["unspec"];

const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const known = new Map(
  Object.keys(HELPERS).map((name) => [camel(name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)), name]),
);

const isBuiltin = (name: string): boolean =>
  [kernelBuiltin, objectBuiltin, printerBuiltin].some((builtin) => builtin(name) !== null);

describe("helpers of the kernel", () => {
  it("are all there: as functions, or as what the language has for them", () => {
    const missing = Object.values(helpers)
      .map(({ name }) => name)
      .filter((name) => !BY_LANGUAGE[name] && !known.has(camel(name)) && !isBuiltin(camel(name)));
    expect(missing.sort()).toEqual(ABSENT.filter((name) => Object.values(helpers).some((one) => one.name === name)));
  });

  it("are declared, and exported to user space", () => {
    const declarations = PRELUDE.get("src/kernel.ts") ?? "";
    const names = Object.keys(HELPERS).filter((name) => name !== "redirectMap");
    expect(names.filter((name) => !declarations.includes(`export declare function ${name}`))).toEqual([]);
    expect(names.filter((name) => !(name in bpf))).toEqual([]);
  });

  it("say which programs may call them", () => {
    expect(helperSupport("xdp_adjust_head")?.programs).toEqual(new Set(["xdp"]));
    expect(helperSupport("fib_lookup")).toMatchObject({ gpl: true });
  });
});
