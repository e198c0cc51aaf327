// From a change in control to the kernel's maps: 10,000 identities, 1,000 policies, 50 endpoints.
import { join } from "node:path";
import { openDatapath, type Datapath } from "@skep/datapath";
import { openLinux, unmountPins } from "@skep/linux";
import { parseDocuments, PolicyEngine, type PolicySubject } from "@skep/policy";
import { median, print } from "./_lines.ts";
import { ENDPOINTS, IDENTITIES, identity, POLICIES, policy } from "./_policies.ts";
import { needRoot, withFolder } from "./_setup.ts";

const ROUNDS = 30;

needRoot("enforcement");

function milliseconds(run: () => void): number {
  const started = performance.now();
  run();
  return performance.now() - started;
}

const report = (name: string, skep: number): void =>
  print({ bench: "enforcement", case: name, unit: "ms", skep, peer: null, peerName: null });

function measure(datapath: Datapath): void {
  const engine = new PolicyEngine();
  for (let i = 0; i < IDENTITIES; i++) engine.upsertIdentity(identity(i));
  engine.update(
    parseDocuments("policies.yaml", Array.from({ length: POLICIES }, (_, i) => policy(i)).join("---")).documents,
  );
  const subjects: PolicySubject[] = Array.from({ length: ENDPOINTS }, (_, i) => ({
    id: i + 1,
    identity: identity(i * 3),
  }));
  const swapAll = (): void => datapath.setPolicies(subjects.map((subject) => engine.resolve(subject)));
  report(`${ENDPOINTS} endpoints, first write`, milliseconds(swapAll));
  report(
    `${ENDPOINTS} endpoints, all policies swapped`,
    median(Array.from({ length: 5 }, () => milliseconds(swapAll))),
  );
  const added: number[] = [];
  const removed: number[] = [];
  const follow = (change: () => void): number => {
    const versions = subjects.map((subject) => engine.subject(subject).version);
    return milliseconds(() => {
      change();
      for (const [i, subject] of subjects.entries()) {
        const delta = engine.delta(subject, versions[i] ?? 0);
        if (!delta) throw new Error("an identity that comes changes no entry of others");
        if (delta.put.length + delta.take.length > 0) datapath.updatePolicy(subject.id, delta);
      }
    });
  };
  for (let i = 0; i < ROUNDS; i++) {
    // One that every endpoint's policy selects.
    const labels = {
      ...identity(i).labels,
      "k8s:team": `team-${(i % 40) * 10}`,
      "k8s:tier": "front",
      "k8s:fresh": `${i}`,
    };
    const id = 40_000 + i;
    added.push(follow(() => engine.upsertIdentity({ id, labels })));
    removed.push(follow(() => engine.removeIdentity(id)));
  }
  report(`one identity added, in the maps of ${ENDPOINTS} endpoints`, median(added));
  report(`one identity removed, out of the maps of ${ENDPOINTS} endpoints`, median(removed));
}

await withFolder(async (folder) => {
  const machine = openLinux({ runFolder: folder });
  const cgroup = `skep-bench-${process.pid}`;
  const pins = join(folder, "bpf");
  try {
    const datapath = openDatapath(machine, { pins, cgroup: machine.processes.createCgroup(cgroup).path });
    try {
      measure(datapath);
    } finally {
      datapath.destroy();
      unmountPins(pins);
    }
  } finally {
    await machine.processes.deleteCgroup(cgroup);
  }
});
