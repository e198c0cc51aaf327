/**
 * @module
 * What the tests of this folder need: a namespace of their own, and iproute2's view of it.
 */
import { execFileSync, spawnSync } from "node:child_process";
import type { Address, Prefix } from "@skep/net";
import { type LinuxNamespace, openNet } from "../net/index.ts";
import { reapTests, removeTestFolder, testFolder } from "../net/testing.ts";
import { isErrno } from "../sys/index.ts";

/** Whether namespaces can be made and iproute2 is there; says aloud what is missing. */
export function canCompare(): boolean {
  if (process.getuid?.() !== 0) {
    console.warn("skipped: network namespaces need root");
    return false;
  }
  const missing = ["ip", "tc", "bridge"].filter((tool) => spawnSync(tool, ["-V"]).error !== undefined);
  if (missing.length > 0) console.warn(`skipped: comparison needs iproute2 (${missing.join(", ")})`);
  return missing.length === 0;
}

export interface Stage {
  make(name: string): LinuxNamespace;
  /** Removes the namespaces of a test. */
  clear(): void;
  close(): void;
}

export async function openStage(): Promise<Stage> {
  await reapTests();
  const run = testFolder("netlink");
  const net = openNet({ run });
  const clear = (): void => {
    for (const name of net.namespaces()) net.deleteNamespace(name);
  };
  return {
    make: (name) => net.createNamespace(name),
    clear,
    close() {
      clear();
      removeTestFolder(run);
    },
  };
}

/** A veth pair `a` and `b` in one namespace, both up; the index of `a`. */
export function makeVeth(space: LinuxNamespace): number {
  const { host, peer } = space.createVeth("a", { namespace: space, name: "b" });
  space.setUp(host.index, true);
  space.setUp(peer.index, true);
  return host.index;
}

/** What iproute2 prints as JSON, run in the namespace. */
export function iproute(space: LinuxNamespace, command: string): Record<string, unknown>[] {
  const [tool = "", ...args] = command.split(" ");
  const text = space.run(() => execFileSync(tool, ["-j", ...args], { encoding: "utf8" }));
  return text.trim() === ""
    ? []
    : (JSON.parse(text) as Record<string, unknown>[]).filter((each) => Object.keys(each).length > 0);
}

export function runIn(space: LinuxNamespace, command: string): void {
  const [tool = "", ...args] = command.split(" ");
  space.run(() => execFileSync(tool, args, { stdio: ["ignore", "ignore", "inherit"] }));
}

/** `10.0.0.1`, `fd00::1` written in full groups where it matters not: only `::` in the middle is understood. */
export function ip(text: string): Address {
  if (!text.includes(":")) return { family: 4, bytes: Uint8Array.from(text.split("."), Number) };
  const [head = "", tail = ""] = text.split("::");
  const words = (part: string): number[] =>
    part
      .split(":")
      .filter((word) => word !== "")
      .map((word) => parseInt(word, 16));
  const [left, right] = [words(head), words(tail)];
  const all = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
  return { family: 6, bytes: Uint8Array.from(all.flatMap((word) => [word >> 8, word & 255])) };
}

export function prefix(text: string): Prefix {
  const [address = "", length] = text.split("/");
  const parsed = ip(address);
  return { address: parsed, length: length === undefined ? parsed.bytes.length * 8 : Number(length) };
}

export const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);

/** The errno's name of what `run` throws. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isErrno(error, (error as { code: string }).code)) return error.code;
    throw error;
  }
  return "nothing thrown";
}
