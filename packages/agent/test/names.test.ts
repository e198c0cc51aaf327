// Names of flows, on the simulated machine.
import { simGround } from "./grounds.ts";
import { namesSuite } from "./names-suite.ts";

namesSuite("names that were resolved, simulated", simGround);
