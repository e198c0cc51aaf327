/**
 * @module
 * The real machine and the simulated one as the ground of a packet lab.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLinux, openPacketSocket, unmountPins } from "@skep/linux";
import { openSim } from "@skep/sim";
import type { Ground, Port } from "./packet-lab.ts";

const PATIENCE_MS = 30_000;

/** Namespaces of their own around a host namespace of their own. */
export function linuxGround(): Ground {
  const folder = mkdtempSync(join(tmpdir(), "skep-lab-"));
  const outer = openLinux({ runFolder: folder });
  const machine = openLinux({ runFolder: folder, netns: outer.net.createNamespace("host").path });
  const pins = join(folder, "bpf");
  const cgroup = `skep-lab-${process.pid}-${folder.slice(-6)}`;
  let since: number | null = null;
  return {
    ...{ machine, pins, cgroup, outside: outer.net.createNamespace("outside") },
    port(namespace, index): Port {
      const socket = outer.net.namespaceAt(namespace.path).run(() => openPacketSocket(index));
      return {
        write(frame) {
          since = null;
          if (!socket.write(frame)) throw new Error("the wire's queue is full");
        },
        read() {
          const frames: Uint8Array[] = [];
          for (let frame = socket.read(); frame; frame = socket.read())
            if (frame.direction === "in") frames.push(frame.bytes);
          return frames;
        },
        close: () => socket.close(),
      };
    },
    async wait() {
      since ??= performance.now();
      await new Promise((resolve) => setTimeout(resolve, 1));
      return performance.now() - since < PATIENCE_MS;
    },
    async close() {
      unmountPins(pins);
      await machine.processes.deleteCgroup(cgroup);
      for (const name of outer.net.namespaces()) outer.net.deleteNamespace(name);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The same without a kernel, root or waiting. */
export function simGround(): Ground {
  const machine = openSim();
  let passes = 0;
  return {
    ...{ machine, pins: "/sys/fs/bpf/lab", cgroup: "lab", outside: machine.net.createNamespace("outside") },
    port(namespace, index): Port {
      const device = machine.net.namespaceOf(namespace).device(index);
      if (!device) throw new Error(`no interface ${index}`);
      let frames: Uint8Array[] = [];
      device.taps.add(({ bytes, direction }) => {
        if (direction === "in") frames.push(bytes);
      });
      return {
        write(frame) {
          passes = 0;
          machine.net.inject(device, frame);
        },
        read() {
          const read = frames;
          frames = [];
          return read;
        },
        close: () => undefined,
      };
    },
    async wait() {
      await machine.simulation.pass(1);
      passes += 1;
      return passes < 3;
    },
    close: () => Promise.resolve(),
  };
}
