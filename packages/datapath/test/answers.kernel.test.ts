// Name servers' answers, in the kernel.
import { describe } from "vitest";
import { answersSuite } from "./answers-suite.ts";
import { linuxUnderTest, privileged } from "./linux-ground.ts";

describe.skipIf(!privileged)("name servers' answers, in the kernel", () => answersSuite(linuxUnderTest));
