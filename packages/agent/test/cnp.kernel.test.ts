// Policies with real packets between namespaces of the kernel.
import { describe } from "vitest";
import { cnpSuite } from "./cnp-suite.ts";
import { linuxGround } from "./grounds.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: policies with real packets need root and BPF");

describe.skipIf(!privileged)("in the kernel", () =>
  cnpSuite("policies with packets, against Cilium's verdicts", linuxGround),
);
