import { netlink } from "@skep/linux";
import { CliError } from "../errors.ts";

type Socket = netlink.NetlinkSocket;

/** Runs `use` with a socket of this network namespace. */
export function withNetlink<T>(use: (socket: Socket) => T): T {
  const socket = netlink.NetlinkSocket.open();
  try {
    return use(socket);
  } finally {
    socket.close();
  }
}

/** An interface by its name. */
export function interfaceOf(name: string): netlink.LinkInfo {
  const found = withNetlink((socket) => netlink.findLink(socket, name));
  if (found === null) throw new CliError(`there is no interface ${name}`);
  return found;
}
