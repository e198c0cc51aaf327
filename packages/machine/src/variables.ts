/**
 * @module
 * Global variables of a loaded object: the values in its data sections.
 */
import type { ObjectSpec } from "@skep/object";
import type { Variable } from "./app.ts";
import { codecOfType } from "./codec/codec.ts";
import type { Collection } from "./machine.ts";

/** A data section is an array map with one element. */
const key = new Uint8Array(4);

/** A variable by its name in the object; null where there is none. Writing one of `.rodata` fails with EPERM: it is frozen. */
export function openVariable(spec: ObjectSpec, collection: Collection, name: string): Variable<unknown> | null {
  for (const map of Object.values(spec.maps)) {
    const place = map.data?.variables.find((variable) => variable.name === name);
    const raw = collection.maps[map.name];
    if (!place || !raw || !spec.btf) continue;
    const codec = codecOfType(spec.btf, place.typeId);
    const section = (): Uint8Array => {
      const bytes = raw.get(key);
      if (!bytes) throw new RangeError(`section ${map.name} is empty`);
      return bytes;
    };
    return {
      get value() {
        return codec.decode(section().subarray(place.offset, place.offset + codec.size));
      },
      set value(value) {
        const bytes = section();
        bytes.set(codec.encode(value as never), place.offset);
        raw.set(key, bytes);
      },
    };
  }
  return null;
}
