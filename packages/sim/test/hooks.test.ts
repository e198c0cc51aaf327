import {
  endpointOf,
  endpointText,
  hooksSuite,
  type SocketGround,
  streamsSuite,
  type TestSocket,
} from "@skep/machine/suite";
import { openSim, type SimMachine, type TcpConnection, type TcpSocket, type UdpSocket } from "../src/index.ts";

const shown = ({ address, port }: { address: { bytes: Uint8Array }; port: number }): string =>
  endpointText(address.bytes, port);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (data: Uint8Array): string => new TextDecoder().decode(data);

class SimUdp implements TestSocket {
  readonly #socket: UdpSocket;
  readonly #machine: SimMachine;
  #isOpen = true;

  constructor(machine: SimMachine, socket: UdpSocket) {
    this.#machine = machine;
    this.#socket = socket;
  }

  get descriptor(): number {
    return this.#socket.sock.descriptor;
  }
  bind(to: string): void {
    this.#socket.bind(endpointOf(to));
  }
  listen(): void {
    throw new Error("UDP listens to nobody");
  }
  connect(to: string): Promise<void> {
    this.#socket.connect(endpointOf(to));
    return Promise.resolve();
  }
  accept(): Promise<TestSocket> {
    throw new Error("UDP accepts nobody");
  }
  send(text: string, to?: string): void {
    this.#socket.send(encode(text), to === undefined ? undefined : endpointOf(to));
  }
  async receive(): Promise<{ text: string; from: string } | null> {
    await this.#machine.simulation.pass(1);
    const got = await this.#machine.simulation.run(this.#socket.receive(10));
    return got && { text: decode(got.data), from: shown(got.from) };
  }
  name(): string {
    return shown(this.#socket.name);
  }
  peer(): string {
    return shown(this.#socket.peer);
  }
  close(): void {
    if (this.#isOpen) this.#socket.close();
    this.#isOpen = false;
  }
}

class SimTcp implements TestSocket {
  readonly #machine: SimMachine;
  readonly #socket: TcpSocket | null;
  #connection: TcpConnection | null;
  readonly #accepted: TcpConnection[] = [];
  #data = "";

  constructor(machine: SimMachine, socket: TcpSocket | null, connection: TcpConnection | null = null) {
    this.#machine = machine;
    this.#socket = socket;
    this.#connection = connection;
    if (connection) connection.onData = (data) => (this.#data += decode(data));
  }

  get #open(): TcpSocket {
    if (!this.#socket) throw new Error("a connection that was accepted");
    return this.#socket;
  }

  get descriptor(): number {
    return (this.#connection ?? this.#open).sock.descriptor;
  }
  bind(to: string): void {
    this.#open.bind(endpointOf(to));
  }
  listen(): void {
    this.#open.listen((connection) => this.#accepted.push(connection));
  }
  async connect(to: string): Promise<void> {
    const connection = await this.#machine.simulation.run(this.#open.connect(endpointOf(to), { timeout: 100 }));
    connection.onData = (data) => (this.#data += decode(data));
    this.#connection = connection;
  }
  async accept(): Promise<TestSocket> {
    await this.#machine.simulation.pass(1);
    const connection = this.#accepted.shift();
    if (!connection) throw new Error("nobody came");
    return new SimTcp(this.#machine, null, connection);
  }
  send(text: string): void {
    this.#connection?.write(text);
  }
  async receive(): Promise<{ text: string; from: string } | null> {
    await this.#machine.simulation.pass(1);
    const text = this.#data;
    this.#data = "";
    return text === "" ? null : { text, from: this.peer() };
  }
  name(): string {
    return shown((this.#connection ?? this.#open).name);
  }
  peer(): string {
    return shown((this.#connection ?? this.#open).peer);
  }
  close(): void {
    if (this.#connection) this.#connection.close();
    else this.#socket?.close();
  }
}

function open(): SocketGround {
  const machine = openSim();
  const { path } = machine.processes.createCgroup("hooks/inside");
  machine.processes.createCgroup("hooks/outside");
  const space = machine.net.host;
  const make = (cgroup: string, kind: "tcp" | "udp", family: 4 | 6): TestSocket => {
    const options = { family, cgroup: machine.processes.cgroup(`${machine.processes.cgroupRoot}/hooks/${cgroup}`) };
    if (kind === "udp") return new SimUdp(machine, space.stack.udp.socket(options));
    return new SimTcp(machine, space.stack.tcp.socket(options));
  };
  return {
    machine,
    cgroup: path,
    namespace: space.path,
    socket: (kind, family) => make("inside", kind, family),
    stranger: (kind, family) => make("outside", kind, family),
    settle: () => machine.simulation.pass(10),
    close: () => undefined,
  };
}

hooksSuite("the simulated machine", open);
streamsSuite("streams of the simulated machine", open);
