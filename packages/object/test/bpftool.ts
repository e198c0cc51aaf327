import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs bpftool; throws with what it wrote where it fails. */
export function bpftool(...args: string[]): string {
  return execFileSync("bpftool", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 28 });
}

/** Runs bpftool and gives what it wrote to both streams, whether it failed or not. */
export function bpftoolLog(...args: string[]): string {
  const { stdout, stderr } = spawnSync("bpftool", args, { encoding: "utf8", maxBuffer: 1 << 28 });
  return stdout + stderr;
}

/** Why bpftool cannot be used here; null where it can. */
export function whyNoBpftool(needs: "tool" | "kernel"): string | null {
  try {
    bpftool("version");
  } catch {
    return "bpftool is not installed";
  }
  if (needs === "tool") return null;
  if (process.getuid?.() !== 0) return "not root";
  try {
    bpftool("prog", "list");
    return null;
  } catch (error) {
    return `bpftool may not ask the kernel: ${String(error)}`;
  }
}

/** A folder of one's own with a BPF file system in it; `remove` takes away everything. */
export function privatePins(): { readonly folder: string; readonly pins: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), "skep-object-"));
  const pins = join(folder, "bpf");
  mkdirSync(pins);
  execFileSync("mount", ["-t", "bpf", "bpf", pins]);
  return {
    folder,
    pins,
    remove() {
      // What is pinned goes with the file system.
      execFileSync("umount", [pins]);
      rmSync(folder, { recursive: true });
    },
  };
}
