import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import { parseKernelConfig, type KconfigSource } from "@skep/object";
import { hasFeature } from "./probes/basic.ts";
import { kernelVersion } from "./kernel-version.ts";
import { kernelSymbolAddress } from "./kernel-symbols.ts";

let config: ReadonlyMap<string, string> | undefined;

/** The running kernel's configuration; empty where it is published nowhere. */
export function kernelConfig(): ReadonlyMap<string, string> {
  config ??= parseKernelConfig(configText());
  return config;
}

function configText(): string {
  if (existsSync("/proc/config.gz")) return gunzipSync(readFileSync("/proc/config.gz")).toString("utf8");
  const files = [`/boot/config-${release()}`, `/lib/modules/${release()}/config`];
  const found = files.find((file) => existsSync(file));
  return found === undefined ? "" : readFileSync(found, "utf8");
}

/** What `.kconfig` variables are given. */
export function kconfigSource(): KconfigSource {
  const prefix = process.arch === "arm64" ? "__arm64_sys_" : "__x64_sys_";
  const flag = (is: boolean) => (is ? 1n : 0n);
  return {
    version: kernelVersion(),
    config: kernelConfig(),
    features: new Map([
      ["LINUX_HAS_BPF_COOKIE", flag(hasFeature("attach_cookie"))],
      ["LINUX_HAS_SYSCALL_WRAPPER", flag(kernelSymbolAddress(`${prefix}bpf`) !== null)],
    ]),
  };
}
