import { describe } from "vitest";
import { type MachineUnderTest, machineSuite } from "@skep/machine/suite";
import { LinuxBpf } from "../bpf/index.ts";
import { canUseBpf } from "../bpf/testing.ts";
import { openProcesses } from "../processes/index.ts";
import { CLOCK, clockTime } from "../sys/index.ts";
import { openNet } from "./index.ts";
import { removeTestFolder, testFolder, testName } from "./testing.ts";

let count = 0;

/** The parts of the real machine, in folders of their own. */
function open(): MachineUnderTest {
  const name = testName(`suite${count++}`);
  const run = testFolder("suite");
  const bpf = new LinuxBpf();
  const processes = openProcesses();
  // A BPF file system of the test's own, with the pin folder in it: its root has files that cannot be removed.
  const mounted = `${run}/bpf`;
  bpf.preparePins(mounted);
  const pins = `${mounted}/pins`;
  return {
    machine: {
      name: "linux",
      bpf,
      net: openNet({ run }),
      processes,
      clock: {
        now: () => Date.now(),
        monotonic: () => clockTime(CLOCK.MONOTONIC),
        after(ms, later) {
          const timer = setTimeout(later, ms);
          return () => clearTimeout(timer);
        },
      },
    },
    pins,
    cgroup: name,
    async close() {
      await processes.deleteCgroup(name);
      removeTestFolder(run);
    },
  };
}

describe.skipIf(process.getuid?.() !== 0 || !canUseBpf())("conformance", () => machineSuite("linux", open));
