// Names of flows, with packets between namespaces of the kernel.
import { describe } from "vitest";
import { linuxGround } from "./grounds.ts";
import { namesSuite } from "./names-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: names of flows with real packets need root and BPF");

describe.skipIf(!privileged)("in the kernel", () => namesSuite("names that were resolved", linuxGround));
