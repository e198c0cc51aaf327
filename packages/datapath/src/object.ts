import { type ObjectSpec, readObject } from "@skep/object";
import { skepObject } from "./generated/skep-object.ts";

let last: WeakRef<ObjectSpec> | undefined;

/** The compiled datapath, read once for as long as somebody holds it: machines that load the same object share what is made of it. */
export function readSkepObject(): ObjectSpec {
  const known = last?.deref();
  if (known !== undefined) return known;
  const spec = readObject(skepObject());
  last = new WeakRef(spec);
  return spec;
}
