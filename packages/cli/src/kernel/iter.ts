import { readIterator } from "@skep/linux";
import { CliError } from "../errors.ts";
import { readSpec } from "./object-file.ts";
import { pinAt } from "./pin.ts";
import { oneMap } from "./select.ts";
import type { Session } from "./session.ts";

async function attached(session: Session, object: string) {
  const { words } = session;
  const spec = await readSpec(object);
  const program = Object.values(spec.programs).find(({ attachType }) => attachType === "trace_iter");
  if (!program) throw new CliError(`${object} has no iterator (section iter/...)`);
  const map = words.take("map") ? oneMap(session) : null;
  words.end("map MAP");
  const { bpf } = session.machine;
  const loaded = session.keep(bpf.load(spec, { programs: [program.name] })).programs[program.name];
  if (!loaded) throw new CliError(`${object}: ${program.name} was not loaded`);
  return session.keep(bpf.attach(loaded, { hook: "iterator", ...(map === null ? {} : { map }) }));
}

/** `iter pin OBJECT PATH [map MAP]`. */
export async function iterPin(session: Session): Promise<void> {
  const object = session.words.next("an object");
  const path = session.words.next("a path");
  const link = await attached(session, object);
  pinAt(session, link, path);
  await session.done();
}

/** `iter run OBJECT [map MAP]`: what it writes, once. */
export async function iterRun(session: Session): Promise<void> {
  const link = await attached(session, session.words.next("an object"));
  const text = new TextDecoder().decode(readIterator(link));
  await session.print(
    text.split("\n").filter((line) => line !== ""),
    () => text,
  );
}
