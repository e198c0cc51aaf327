import { expect, test } from "vitest";
import { sharedText } from "../src/shared-text.ts";

test("a shared text is the text, whatever it looks like", () => {
  for (const text of ["default/web", "", "7", "-0", "4294967295", "__proto__", "constructor", "ü/\u0000"])
    expect([sharedText(text), sharedText(`${text}`)]).toEqual([text, text]);
});
