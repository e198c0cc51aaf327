// A balancer on one leg: a flow's hash chooses the backend, which gets the packet with its own address and MAC; the rest is checksums.
import { array, be16, be32, config, hash, struct, u32, u8, xdp, XDP } from "@skep/bpf";
import { replaceLong } from "@skep/bpf/checksum";
import { jhash3Words } from "@skep/bpf/hash";
import { Ethernet, Ipv4, PROTOCOL, Tcp } from "@skep/bpf/net";

const Service = struct("Service", { address: be32, port: be16, padding: be16 });
const Members = struct("Members", { first: u32, count: u32 });
const Backend = struct("Backend", { address: be32, mac: array(u8, 6), padding: be16 });

export const services = hash("services", { key: Service, value: Members, maxEntries: 64 });
export const backends = array("backends", { value: Backend, maxEntries: 256 });
export const seed = config("seed", u32, 7);

export const balance = xdp("balance", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.TCP) return XDP.PASS;
  const tcp = ctx.header(Tcp, Ethernet.size + Ipv4.size);
  if (!tcp) return XDP.PASS;
  const members = services.get({ address: ip.destination, port: tcp.destination, padding: 0 });
  if (!members || members.count === 0) return XDP.PASS;
  const flow = jhash3Words(ip.source, (u32(tcp.source) << 16) | tcp.destination, ip.destination, seed.value);
  const backend = backends.get(members.first + (flow % members.count));
  if (!backend) return XDP.DROP;
  ip.checksum = replaceLong(ip.checksum, ip.destination, backend.address);
  tcp.checksum = replaceLong(tcp.checksum, ip.destination, backend.address);
  ip.destination = backend.address;
  ethernet.source = ethernet.destination;
  ethernet.destination = backend.mac;
  return XDP.TX;
});
