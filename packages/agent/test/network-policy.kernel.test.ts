// NetworkPolicy with real packets between namespaces of the kernel.
import { describe } from "vitest";
import { linuxGround } from "./grounds.ts";
import { networkPolicySuite } from "./network-policy-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: policies with real packets need root and BPF");

describe.skipIf(!privileged)("in the kernel", () => networkPolicySuite(linuxGround));
