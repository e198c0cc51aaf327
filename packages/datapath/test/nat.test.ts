// The translation without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { natSuite } from "./nat-suite.ts";

describe("the translation, simulated", () => natSuite(() => openSim()));
