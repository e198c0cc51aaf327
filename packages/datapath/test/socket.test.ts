// Services at the socket, on the simulated machine.
import { formatAddress } from "@skep/net";
import { openSim, SimError, type Cgroup } from "@skep/sim";
import { openDatapath } from "../src/index.ts";
import { ip, SMALL } from "./addresses.ts";
import { socketSuite, type Answer, type SocketGround, type Where } from "./socket-suite.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

function errno(error: unknown): string {
  if (error instanceof SimError) return error.code;
  throw error;
}

function open(): Promise<SocketGround> {
  const machine = openSim({ seed: 7 });
  const { net, processes, simulation } = machine;
  const { path } = processes.createCgroup("clients");
  const cgroup: Cgroup | null = processes.cgroup(path);
  const datapath = openDatapath(machine, { pins: "/pins", cgroup: path, ...SMALL });
  const { udp, tcp } = net.host.stack;
  let nextPort = 20_000;
  const where = (at: Where): { address: ReturnType<typeof ip>; port: number } => ({
    address: ip(at.address),
    port: at.port,
  });
  const ground: SocketGround = {
    datapath,
    serve: (kind, _address, name) => {
      const port = nextPort++;
      if (kind === "udp") {
        const server = udp.open({ port });
        server.onDatagram = ({ from }) => server.send(bytes(name), from);
      } else {
        tcp.listen({ port }, (connection) => connection.write(bytes(name)));
      }
      return Promise.resolve(port);
    },
    openUdp: () => {
      const socket = udp.open({ cgroup });
      return Promise.resolve({
        ask: async (to: Where): Promise<Answer> => {
          try {
            const answer = socket.receive(100);
            socket.send(bytes("?"), where(to));
            const got = await simulation.run(answer);
            if (!got) return "ETIMEDOUT";
            return { text: text(got.data), from: { address: formatAddress(got.from.address), port: got.from.port } };
          } catch (error) {
            return errno(error);
          }
        },
        close: () => socket.close(),
      });
    },
    askTcp: async (to) => {
      try {
        const connection = await simulation.run(tcp.connect(where(to), { cgroup, timeout: 1000 }));
        const answer = new Promise<string>((resolve) => {
          connection.onData = (data) => resolve(text(data));
        });
        const got = await simulation.run(answer);
        const { address, port } = connection.peer;
        return { text: got, from: { address: formatAddress(address), port } };
      } catch (error) {
        return errno(error);
      }
    },
    bind: () => null,
    close: () => Promise.resolve(datapath.close()),
  };
  return Promise.resolve(ground);
}

// The simulated stack has no sockets of both families.
socketSuite("services at the socket, simulated", open, { hasMapped: false });
