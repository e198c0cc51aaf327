import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FolderStore } from "./compile-store.ts";

describe("a store in a folder", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-store-"));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const value = { map: new Map([["a", undefined]]), big: 1n << 63n, places: Int32Array.of(1, -1) };

  it("gives another process what was put there", () => {
    const below = join(folder, "not", "there");
    expect(new FolderStore(below).get("one")).toBeUndefined();
    new FolderStore(below).put("one", value);
    expect(new FolderStore(below).get("one")).toEqual(value);
    expect(readdirSync(below)).toEqual(["one"]);
  });

  it("takes nothing that is not whole", () => {
    new FolderStore(folder).put("one", value);
    new FolderStore(folder).put("two", value);
    truncateSync(join(folder, "one"), 40);
    const bytes = readFileSync(join(folder, "two"));
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(join(folder, "two"), bytes);
    expect(new FolderStore(folder).get("one")).toBeUndefined();
    expect(new FolderStore(folder).get("two")).toBeUndefined();
  });

  it("does without where there is no place", () => {
    writeFileSync(join(folder, "file"), "");
    const store = new FolderStore(join(folder, "file", "below"));
    store.put("one", value);
    expect(store.get("one")).toBeUndefined();
  });
});
