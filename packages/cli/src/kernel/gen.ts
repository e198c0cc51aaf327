import { linkObjects, ObjectError, writeObject } from "@skep/object";
import { CliError } from "../errors.ts";
import { readSpec } from "./object-file.ts";
import { writeBytesTo } from "./prog-dump.ts";
import type { Session } from "./session.ts";

/** `gen object OUTPUT INPUT...`: static linking. */
export async function genObject(session: Session): Promise<void> {
  const { words } = session;
  const output = words.next("the output");
  const inputs = [words.next("an object"), ...words.rest()];
  const specs = [];
  for (const input of inputs) specs.push(await readSpec(input));
  try {
    writeBytesTo(output, writeObject(linkObjects(specs)));
  } catch (error) {
    if (error instanceof ObjectError) throw new CliError(error.message, 1, { cause: error });
    throw error;
  }
  await session.done();
}
