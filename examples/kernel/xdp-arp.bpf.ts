// Says "that is me" for every address in a set (proxy ARP).
import { array, config, hash, be32, struct, u64, u8, xdp, XDP } from "@skep/bpf";
import { Arp, Ethernet, ETHERTYPE } from "@skep/bpf/net";

const Address = struct("Address", { ip: be32 });
export const ours = hash("ours", { key: Address, value: u8, maxEntries: 256 });
const Mac = array(u8, 6);
export const mac = config("mac", Mac, [2, 0, 0, 0, 0, 1]);

const REQUEST = 1;
const REPLY = 2;

export const answer = xdp("answer", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const arp = ctx.header(Arp, Ethernet.size);
  if (!ethernet || !arp || ethernet.type !== ETHERTYPE.ARP || arp.operation !== REQUEST) return XDP.PASS;
  if (ours.get({ ip: arp.targetIp }) === null) return XDP.PASS;
  const asked = arp.targetIp;
  arp.operation = REPLY;
  arp.targetMac = arp.senderMac;
  arp.targetIp = arp.senderIp;
  arp.senderIp = asked;
  ethernet.destination = arp.targetMac;
  for (let at = 0; at < 6; at++) {
    const byte = mac.value[at] ?? 0;
    arp.senderMac[at] = byte;
    ethernet.source[at] = byte;
  }
  return XDP.TX;
});
