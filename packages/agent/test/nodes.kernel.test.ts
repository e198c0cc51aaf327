// Several hosts as namespaces of the kernel.
import { describe } from "vitest";
import { openLinux } from "@skep/linux";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linuxCluster } from "./cluster-lab.ts";
import { nodesSuite } from "./nodes-suite.ts";
import { Recorder, tsharkSuite } from "./recorded.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: several hosts with real packets need root and BPF");

/** CONFIG_GENEVE. */
function hasGeneve(): boolean {
  const runFolder = mkdtempSync(join(tmpdir(), "skep-geneve-"));
  const machine = openLinux({ runFolder });
  try {
    machine.net.createNamespace("probe").createTunnel("geneve0", { protocol: "geneve" });
    return true;
  } catch (error) {
    console.warn(`skipped: tunnels by Geneve: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  } finally {
    for (const name of machine.net.namespaces()) machine.net.deleteNamespace(name);
    rmSync(runFolder, { recursive: true, force: true });
  }
}

const recorder = new Recorder();
describe.skipIf(!privileged)("in the kernel", () => {
  nodesSuite(() => recorder.of(linuxCluster()), privileged && hasGeneve() ? ["vxlan", "geneve"] : ["vxlan"]);
  tsharkSuite(recorder, 50);
});
