// Services at the socket, on the simulated machine.
import { formatAddress, type Address } from "@skep/net";
import { openSim, SimError, type Cgroup } from "@skep/sim";
import { openDatapath } from "../src/index.ts";
import { ip, SMALL } from "./addresses.ts";
import {
  askersOf,
  occupy,
  socketSuite,
  type Answer,
  type SocketGround,
  type UdpAsker,
  type Where,
} from "./socket-suite.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

function errno(error: unknown): string {
  if (error instanceof SimError) return error.code;
  throw error;
}

function openGround(): Promise<SocketGround> {
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
  const told = ({ address, port }: { readonly address: Address; readonly port: number }): Where => ({
    ...{ address: formatAddress(address), port },
  });
  const attempt = async <T>(run: () => Promise<T> | T): Promise<T | string> => {
    try {
      return await run();
    } catch (error) {
      return errno(error);
    }
  };
  const open = (family: 4 | 6): UdpAsker => {
    const socket = udp.open({ family, cgroup });
    let problem = "";
    socket.onError = (error) => (problem = errno(error));
    const ask = (to?: Where): Promise<Answer> =>
      attempt(async () => {
        const answer = socket.receive(100);
        socket.send(bytes("?"), ...(to ? [where(to)] : []));
        const got = await simulation.run(answer);
        return got ? { text: text(got.data), from: told(got.from) } : "ETIMEDOUT";
      });
    return {
      ask,
      askPeer: () => ask(),
      problem: () => {
        const told = problem;
        problem = "";
        return Promise.resolve(told);
      },
      connect: (to) =>
        attempt(() => {
          socket.connect(where(to));
          return { from: told(socket.peer) };
        }),
      close: () => socket.close(),
    };
  };
  const ground: SocketGround = {
    datapath,
    serve: (kind, address, name) => {
      const port = nextPort++;
      if (kind === "udp") {
        const server = udp.open({ port, address: ip(address) });
        server.onDatagram = ({ from }) => server.send(bytes(name), from);
      } else {
        tcp.listen({ port, address: ip(address) }, (connection) => connection.write(bytes(name)));
      }
      return Promise.resolve(port);
    },
    openUdp: (family) => Promise.resolve(open(family)),
    askTcp: (to) =>
      attempt(async () => {
        const connection = await simulation.run(tcp.connect(where(to), { cgroup, timeout: 1000 }));
        const answer = new Promise<string>((resolve) => {
          connection.onData = (data) => resolve(text(data));
        });
        const got = { text: await simulation.run(answer), from: told(connection.peer) };
        connection.close();
        return got;
      }),
    holdTcp: async (to) => {
      const connection = await simulation.run(tcp.connect(where(to), { cgroup, timeout: 1000 }));
      let problem = "";
      connection.onEnd = (error) => (problem = error ? errno(error) : "ended");
      const answer = new Promise<string>((resolve) => {
        connection.onData = (data) => resolve(text(data));
      });
      return {
        text: await simulation.run(answer),
        problem: () => Promise.resolve(problem),
        close: () => connection.close(),
      };
    },
    endLost: (kind) => datapath.endLost([net.host], kind),
    askersOf: (port) => askersOf(machine.bpf, "/pins", port),
    occupy: (isTaken) => occupy(machine.bpf, "/pins", isTaken),
    pause: () => simulation.pass(1),
    bind: (kind, at) =>
      attempt(() => {
        const socket = (kind === "udp" ? udp : tcp).socket({ family: ip(at.address).family, cgroup });
        try {
          socket.bind(where(at));
          return "bound";
        } finally {
          socket.close();
        }
      }),
    close: () => Promise.resolve(datapath.close()),
  };
  return Promise.resolve(ground);
}

socketSuite("services at the socket, simulated", openGround);
