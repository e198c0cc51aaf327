import { release } from "node:os";

/** LINUX_VERSION_CODE of a release such as `6.18.44-generic`. */
export function versionCode(text: string): number {
  const [major = 0, minor = 0, patch = 0] = text.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
  return ((major << 16) | (minor << 8) | Math.min(patch, 255)) >>> 0;
}

/** LINUX_VERSION_CODE of the running kernel. */
export function kernelVersion(): number {
  return versionCode(release());
}
