// Name servers' answers, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { answersSuite } from "./answers-suite.ts";

describe("name servers' answers, simulated", () =>
  answersSuite(() => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined })));
