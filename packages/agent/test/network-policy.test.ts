// The same packets on the simulated machine.
import { describe } from "vitest";
import { simGround } from "./grounds.ts";
import { networkPolicySuite } from "./network-policy-suite.ts";

describe("on the simulated machine", () => networkPolicySuite(simGround));
