import { readlinkSync } from "node:fs";
import type { NetMachine } from "@skep/machine";
import { changeLink, NetlinkSocket } from "../netlink/index.ts";
import {
  checkName,
  createNamespaceFile,
  deleteNamespaceFile,
  isNamespaceFile,
  namespaceFiles,
  prepareFolder,
  releaseFolder,
} from "./namespace-files.ts";
import { LinuxNamespace } from "./namespace.ts";
import { needCapability } from "./privilege.ts";

export interface NetOptions {
  /** The machine's run folder; namespaces are kept in `<run>/netns`. */
  readonly run: string;
  /** File of the host's network namespace; default the one that this thread is in. */
  readonly netns?: string;
}

/** `lo` is the first interface of every namespace (net/core/net_namespace.c: loopback_net_ops). */
const loopbackIndex = 1;

function upLoopback(): void {
  const socket = NetlinkSocket.open();
  try {
    changeLink(socket, loopbackIndex, { up: true });
  } finally {
    socket.close();
  }
}

export interface LinuxNet extends NetMachine {
  readonly host: LinuxNamespace;
  createNamespace(name: string): LinuxNamespace;
  openNamespace(name: string): LinuxNamespace | null;
  /** A namespace that others keep: a file of `ip netns`, of a container runtime, or `/proc/PID/ns/net`. */
  namespaceAt(path: string): LinuxNamespace;
}

class Net implements LinuxNet {
  readonly host: LinuxNamespace;
  readonly #folder: string;

  constructor(options: NetOptions) {
    this.#folder = `${options.run}/netns`;
    this.host =
      options.netns === undefined
        ? new LinuxNamespace("host", `/proc/${readlinkSync("/proc/thread-self")}/ns/net`, { isCurrent: true })
        : new LinuxNamespace("host", options.netns);
  }

  createNamespace(name: string): LinuxNamespace {
    checkName(name);
    needCapability(`making namespace ${name}`, "CAP_SYS_ADMIN");
    prepareFolder(this.#folder);
    const path = this.#path(name);
    createNamespaceFile(path, upLoopback);
    return new LinuxNamespace(name, path);
  }

  openNamespace(name: string): LinuxNamespace | null {
    checkName(name);
    const path = this.#path(name);
    return isNamespaceFile(path) ? new LinuxNamespace(name, path) : null;
  }

  namespaceAt(path: string): LinuxNamespace {
    return new LinuxNamespace(path, path);
  }

  deleteNamespace(name: string): void {
    checkName(name);
    deleteNamespaceFile(this.#path(name));
    releaseFolder(this.#folder);
  }

  namespaces(): string[] {
    return namespaceFiles(this.#folder);
  }

  #path(name: string): string {
    return `${this.#folder}/${name}`;
  }
}

/** The network half of the real machine. Opening touches nothing. */
export function openNet(options: NetOptions): LinuxNet {
  return new Net(options);
}
