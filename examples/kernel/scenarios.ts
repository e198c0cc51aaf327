/**
 * @module
 * What programs are asked, and what they answer: the same in the kernel and in the user-space machine.
 */
import * as commands from "./commands.bpf.ts";
import * as deadlines from "./deadlines.bpf.ts";
import * as keepTask from "./keep-task.bpf.ts";
import * as timers from "./timers.bpf.ts";

/** A loaded module, wherever that is. Bytes in and out. */
export interface Player {
  call(
    program: string,
    input: { readonly data?: Uint8Array; readonly context?: Uint8Array },
  ): { readonly returned: number; readonly context: Uint8Array };
  get(map: string, key: Uint8Array): Uint8Array | null;
  set(map: string, key: Uint8Array, value: Uint8Array): void;
  /** Into a ring that the program drains. */
  write(map: string, sample: Uint8Array): void;
  /** The number that the program's process has. */
  readonly pid: number;
}

export interface Scenario {
  readonly module: string;
  readonly name: string;
  readonly play: (player: Player) => unknown;
  readonly expected: unknown;
}

interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(bytes: never): T;
}

function ask<T>(player: Player, program: string, { codec, value }: { readonly codec: Codec<T>; readonly value: T }) {
  const { returned, context } = player.call(program, { context: codec.encode(value) });
  return { returned, answer: codec.decode(context as never) };
}

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function marked(mark: number): Uint8Array {
  const context = new Uint8Array(192);
  new DataView(context.buffer).setUint32(8, mark, true);
  return context;
}

function random(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) >>> 8;
}

export const scenarios: readonly Scenario[] = [
  {
    module: "deadlines",
    name: "a tree that is filled and emptied in any order",
    play: (player) => {
      const next = random(7);
      const codec = deadlines.Request as unknown as Codec<{ deadline: bigint; number: number; waiting: number }>;
      const waiting: bigint[] = [];
      let isSorted = true;
      for (let round = 0; round < 400; round++) {
        const deadline = BigInt(next() % 50);
        if (next() % 5 < 3) {
          waiting.push(deadline);
          ask(player, "put", { codec, value: { deadline, number: round, waiting: 0 } });
        } else {
          const { returned, answer } = ask(player, "take", { codec, value: { deadline, number: 0, waiting: 0 } });
          waiting.sort((a, b) => Number(a - b));
          const first = waiting[0];
          const isDue = first !== undefined && first <= deadline;
          isSorted &&= isDue ? returned === 0 && answer.deadline === first : returned === 2;
          if (isDue) waiting.shift();
        }
      }
      const { answer } = ask(player, "put", { codec, value: { deadline: 0n, number: 0, waiting: 0 } });
      return [isSorted, answer.waiting === waiting.length + 1];
    },
    expected: [true, true],
  },
  {
    module: "recent",
    name: "a list that forgets, and a pointer that keeps",
    play: (player) => {
      const remember = (length: number, mark: number) =>
        player.call("remember", { data: new Uint8Array(length), context: marked(mark) }).returned;
      const longest = () => player.call("longest", { data: new Uint8Array(64), context: marked(0) }).returned;
      const marks = [remember(100, 1), remember(300, 2), remember(200, 3), remember(64, 4), longest(), remember(64, 5)];
      const value = player.get("recent", word(0));
      // Overwriting the value drops what it holds.
      player.set("recent", word(0), new Uint8Array(value?.length ?? 0));
      return [marks, longest()];
    },
    expected: [[0, 0, 0, 1, 2, 2], 0],
  },
  {
    module: "keep-task",
    name: "a task in a map's value, and counters for each CPU",
    play: (player) => {
      const codec = keepTask.Answer as unknown as Codec<{ pid: number; held: number; calls: bigint }>;
      const call = (program: string) => ask(player, program, { codec, value: { pid: 0, held: 0, calls: 0n } });
      const isOwn = ({ answer }: ReturnType<typeof call>) => [answer.pid === player.pid, answer.held, answer.calls];
      return [call("ask").answer, isOwn(call("keep")), isOwn(call("keep")), isOwn(call("ask")), isOwn(call("ask"))];
    },
    expected: [{ pid: 0, held: 0, calls: 0n }, [false, 1, 0n], [true, 2, 0n], [true, 0, 1n], [true, 0, 2n]],
  },
  {
    module: "shared-list",
    name: "a list in an arena",
    play: (player) => {
      const lengths = [64, 100, 77];
      const grown = player.call("grow", { context: word(1) }).returned;
      const appended = lengths.map((length) => player.call("append", { data: new Uint8Array(length) }).returned);
      const sum = player.call("sum", { data: new Uint8Array(64) }).returned;
      return [grown, appended, sum, player.call("clear", { context: word(1) }).returned];
    },
    expected: [0, [0, 0, 0], 241, 0],
  },
  {
    module: "commands",
    name: "commands of user space",
    play: (player) => {
      const { SET, ADD, DELETE, STOP } = commands.OPERATION;
      const send = (operation: number, key: number, value = 0n) => {
        const bytes = new Uint8Array(16);
        const view = new DataView(bytes.buffer);
        view.setUint32(0, operation, true);
        view.setUint32(4, key, true);
        view.setBigUint64(8, value, true);
        player.write("commands", bytes);
      };
      send(SET, 1, 10n);
      send(ADD, 1, 5n);
      send(SET, 2, 7n);
      send(DELETE, 2);
      send(9, 0);
      send(STOP, 0);
      const codec = commands.Report as unknown as Codec<{ done: number; failed: number }>;
      const { answer } = ask(player, "obey", { codec, value: { done: 0, failed: 0 } });
      return [answer, player.get("table", word(1))?.[0], player.get("table", word(2))];
    },
    expected: [{ done: 4, failed: 1 }, 15, null],
  },
  {
    module: "timers",
    name: "a lease whose timer is far off, and one that is given again",
    play: (player) => {
      const codec = timers.Request as unknown as Codec<{ id: number; nanoseconds: bigint; owner: bigint }>;
      const lease = (id: number) =>
        ask(player, "lease", { codec, value: { id, nanoseconds: 3_600_000_000_000n, owner: 5n } }).returned;
      // The second time the element is another one, and its timer a new one.
      return [lease(2), lease(2), player.get("leases", word(2))?.[16]];
    },
    expected: [0, 0, 5],
  },
  {
    module: "bank",
    name: "two values under a lock",
    play: (player) => {
      const move = () => player.call("move", { data: new Uint8Array(60) }).returned;
      return [move(), player.get("accounts", word(0))?.length];
    },
    expected: [2, 32],
  },
];
