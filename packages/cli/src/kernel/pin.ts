import { dirname, resolve } from "node:path";
import { isErrno } from "@skep/linux";
import { CliError } from "../errors.ts";
import { note } from "../output/print.ts";
import type { Session } from "./session.ts";

/** Pins at a path, on a BPF file system that is mounted where there is none: at /sys/fs/bpf, else at the path's folder. */
export function pinAt(session: Session, handle: { pin(path: string): void }, path: string): void {
  const { mounted, mountPoint } = session.machine.bpf.preparePins(dirname(resolve(path)));
  if (mounted && !session.isData) note(`mounted a BPF file system at ${mountPoint ?? dirname(path)}`);
  try {
    handle.pin(path);
  } catch (error) {
    if (isErrno(error, "EEXIST")) throw new CliError(`${path} is there already`, 1, { cause: error });
    if (isErrno(error, "EPERM"))
      throw new CliError(`${path}: names on a BPF file system have no dots`, 1, { cause: error });
    throw error;
  }
}
