/**
 * @module
 * Generic netlink (include/uapi/linux/genetlink.h): families by name, and commands to them.
 */
import { isErrno } from "../sys/index.ts";
import { attributes, type Codec, list, string, struct, u16, u32 } from "./codec.ts";
import { decodeBody, type Layout, type Message } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

const header = struct({ command: "u8", version: "u8", _reserved: "u16" });
type GenericHeader = ReturnType<typeof header.decode>;

/** The controller's id is fixed; every other family gets its own when it registers. */
const controller = 16;
const getFamily = 3;

const controllerLayout = {
  subject: "generic family",
  header,
  attributes: attributes({
    id: [1, u16],
    name: [2, string],
    version: [3, u32],
    headerSize: [4, u32],
    maxAttribute: [5, u32],
    operations: [6, list(attributes({ command: [1, u32], flags: [2, u32] }))],
    groups: [7, list(attributes({ name: [1, string], id: [2, u32] }))],
  }),
};

export interface GenericFamily {
  /** The message type of its messages. */
  readonly id: number;
  readonly name: string;
  readonly version: number;
  /** Multicast groups by name. */
  readonly groups: Readonly<Record<string, number>>;
  /** Commands that it answers. */
  readonly commands: readonly number[];
}

function toFamily(message: Message): GenericFamily {
  const found = decodeBody(controllerLayout, message.payload).attributes;
  return {
    id: found.id ?? 0,
    name: found.name ?? "",
    version: found.version ?? 0,
    groups: Object.fromEntries((found.groups ?? []).map((group) => [group.name ?? "", group.id ?? 0])),
    commands: (found.operations ?? []).map(({ command }) => command ?? 0),
  };
}

/** Null where the kernel has no such family. The socket is one of `protocols.generic`. */
export function findFamily(socket: NetlinkSocket, name: string): GenericFamily | null {
  try {
    const request = { type: controller, layout: controllerLayout, header: { command: getFamily, version: 1 } };
    return toFamily(socket.get({ ...request, attributes: { name } }));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    throw error;
  }
}

export function listFamilies(socket: NetlinkSocket): GenericFamily[] {
  return socket
    .dump({ type: controller, layout: controllerLayout, header: { command: getFamily, version: 1 } })
    .map(toFamily);
}

/** The layout of a family's messages, for `NetlinkSocket.request`, `get` and `dump` with `type: family.id`. */
export function genericLayout<A>(family: GenericFamily, attributes: Codec<A>): Layout<GenericHeader, A> {
  return { subject: family.name, header, attributes };
}
