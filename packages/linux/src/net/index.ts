export { openNet, type LinuxNet, type NetOptions } from "./machine.ts";
export { LinuxNamespace } from "./namespace.ts";
export { openTun, TunDevice, type TunOptions } from "./tun.ts";
export { type Frame, openPacketSocket, PacketSocket } from "./packet-socket.ts";
