import type { MapSpec } from "@skep/object";
import { LoadError } from "../error.ts";
import { ArrayMap } from "./array.ts";
import { HashMap } from "./hash.ts";
import { LpmMap } from "./lpm.ts";
import { MapOfMaps, ProgramArray } from "./nested.ts";
import { QueueMap } from "./queue.ts";
import { RingMap } from "./ring.ts";
import type { MapHost, VmMap } from "./map.ts";

/** Throws `LoadError` for what the kernel refuses (EINVAL) and for types that this machine does not have. */
export function createMap(host: MapHost, spec: MapSpec, id: number): VmMap {
  if (spec.maxEntries < 1) throw new LoadError(`map ${spec.name} has no entries`);
  switch (spec.type) {
    case "array":
    case "percpu_array":
    case "devmap":
      if (spec.keySize !== 4) throw new LoadError(`map ${spec.name}: an array's key has 4 bytes`);
      return new ArrayMap(host, spec, id);
    case "hash":
    case "percpu_hash":
    case "lru_hash":
    case "lru_percpu_hash":
    case "devmap_hash":
      return new HashMap(host, spec, id);
    case "lpm_trie":
      return new LpmMap(host, spec, id);
    case "queue":
    case "stack":
      return new QueueMap(host, spec, id);
    case "ringbuf":
      return new RingMap(host, spec, id);
    case "array_of_maps":
    case "hash_of_maps":
      return new MapOfMaps(host, spec, id);
    case "prog_array":
      return new ProgramArray(host, spec, id);
    default:
      throw new LoadError(`map ${spec.name}: there is no type ${spec.type} here`);
  }
}
