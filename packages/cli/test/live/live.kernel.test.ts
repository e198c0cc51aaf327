// The short form of `npm run report -- live`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { useCommand } from "../../src/demo/stage.ts";
import { builtCommand } from "../built.ts";
import { live, troubles } from "./live.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: live replacement under load needs root and BPF");

describe.skipIf(!privileged)("an agent killed and replaced under load", () => {
  it("loses no connection and no request", async () => {
    useCommand(dirname(builtCommand()));
    const folder = mkdtempSync(join(tmpdir(), "skep-live-"));
    try {
      const result = await live({ run: join(folder, "run"), rounds: 4, clients: 1, streams: 4 });
      expect(troubles(result)).toEqual([]);
      expect(result.programs, "each start put other programs in place").toBe(5);
      const [seen] = result.clients;
      expect(seen?.answered).toBeGreaterThan(50);
      expect(Object.keys(seen?.servers ?? {}).length, "backends that answered").toBe(3);
      for (const stream of seen?.streams ?? []) expect(stream.lines).toBeGreaterThan(50);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
