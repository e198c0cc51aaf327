// The kernel's own selftests say of programs whether a user without privilege may load them (`__success_unpriv`, `__failure_unpriv`): their objects
// carry it as declaration tags. `npm run report -- selftests FOLDER` builds them; SKEP_SELFTESTS=FOLDER/objects has them held against the verifier.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readObject } from "@skep/object";
import type { ObjectSpec } from "@skep/object";
import { verify } from "../src/index.ts";

const folder = resolve(process.env.SKEP_SELFTESTS ?? "../shared/data/kernel-selftests");
const missing = !existsSync(folder);
if (missing)
  console.warn(`skipped: what unprivileged users may load is held against the kernel's selftests: no ${folder}`);

/** By program: whether it is to be taken. */
function expectations(object: ObjectSpec): Map<string, boolean> {
  const found = new Map<string, boolean>();
  const tags = new Map<number, boolean>();
  for (const type of object.btf?.types ?? []) {
    if (type.kind !== "decl_tag") continue;
    if (type.name === "comment:test_expect_success_unpriv") tags.set(type.typeId, true);
    if (type.name === "comment:test_expect_failure_unpriv") tags.set(type.typeId, false);
  }
  for (const [name, program] of Object.entries(object.programs)) {
    const expected = tags.get(program.typeId ?? -1);
    if (expected !== undefined) found.set(name, expected);
  }
  return found;
}

// These negate a constant, of which 6.12 knows nothing afterwards: two unknown numbers there, one known number here and in later kernels.
const known = [
  "verifier_value_ptr_arith.o ptr_unknown_vs_unknown_gt: accepted",
  "verifier_value_ptr_arith.o ptr_unknown_vs_unknown_lt: accepted",
];

describe.skipIf(missing)("the kernel's selftests", () => {
  test("say the same of users without privilege", () => {
    const others: string[] = [];
    const counts = { accepted: 0, refused: 0 };
    for (const file of readdirSync(folder).filter((each) => /^verifier_.*\.o$/.test(each))) {
      const object = readObject(readFileSync(join(folder, file)));
      for (const [name, expected] of expectations(object)) {
        const { refusal } = verify(object, name, { privilege: "none", kernel: "6.12" });
        if ((refusal === null) !== expected) others.push(`${file} ${name}: ${refusal?.reason ?? "accepted"}`);
        else counts[refusal === null ? "accepted" : "refused"]++;
      }
    }
    console.log(`as the kernel's selftests say: ${counts.accepted} accepted, ${counts.refused} refused`);
    expect(others.sort()).toEqual(known);
    expect(counts.accepted).toBeGreaterThan(150);
    expect(counts.refused).toBeGreaterThan(150);
  });
});
