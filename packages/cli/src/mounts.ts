export interface MountPoint {
  readonly point: string;
  readonly type: string;
}

/** Mounts of /proc/self/mountinfo, in their order. */
export function parseMounts(mountinfo: string): MountPoint[] {
  return mountinfo
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      return {
        point: (fields[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal: string) =>
          String.fromCharCode(parseInt(octal, 8)),
        ),
        type: fields[fields.indexOf("-") + 1] ?? "",
      };
    });
}
