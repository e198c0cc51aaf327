// The translation in the kernel.
import { describe } from "vitest";
import { openLinux } from "@skep/linux";
import { natSuite, privileged } from "./nat-suite.ts";

if (!privileged) console.warn("skipped: the translation's tests need root and BPF");

describe.skipIf(!privileged)("the translation in the kernel", () => natSuite(() => openLinux({})));
