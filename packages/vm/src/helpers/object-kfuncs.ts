import type { Cpu, HelperFunction } from "../cpu.ts";
import { Trap } from "../error.ts";
import type { BtfTypes } from "@skep/object";
import { sizeOf } from "@skep/object";
import type { ObjectType } from "../kernel/heap.ts";
import { ListHead } from "../kernel/list.ts";
import { tree } from "../kernel/tree.ts";
import { fieldsOf } from "../maps/fields.ts";
import type { HelperMachine } from "./machine.ts";

type Rows = readonly (readonly [string, HelperFunction])[];

/** Objects of the program's own, lists and trees of them (kernel/bpf/helpers.c). */
export function objectFunctions(machine: HelperMachine): Rows {
  return [...owned(machine), ...lists(machine), ...trees(machine)];
}

const known = new WeakMap<BtfTypes, Map<number, ObjectType>>();

/** The struct of an id in the program's types. */
function typeOf(cpu: Cpu, perCpu: boolean): ObjectType {
  const { types } = cpu.code;
  const id = cpu.u32(1);
  const size = types === null || id === 0 ? null : sizeOf(types, id);
  if (types === null || size === null) throw new Trap("argument", `${id} is no type of the program's`);
  const own = known.get(types) ?? new Map<number, ObjectType>();
  known.set(types, own);
  const key = perCpu ? -id : id;
  const found = own.get(key) ?? { size, fields: fieldsOf(types, id), perCpu };
  own.set(key, found);
  return found;
}

function owned(machine: HelperMachine): Rows {
  const { heap } = machine;
  const need = (cpu: Cpu): number => {
    const at = cpu.pointer(1);
    if (!heap.has(at)) throw new Trap("argument", `0x${at.toString(16)} is no object of the program's`);
    return at;
  };
  const drop: HelperFunction = (cpu) => {
    heap.drop(need(cpu));
    return 0;
  };
  return [
    ["bpf_obj_new_impl", (cpu) => heap.make(typeOf(cpu, false))],
    ["bpf_percpu_obj_new_impl", (cpu) => heap.make(typeOf(cpu, true))],
    ["bpf_obj_drop_impl", drop],
    ["bpf_percpu_obj_drop_impl", drop],
    [
      "bpf_refcount_acquire_impl",
      (cpu) => {
        const at = need(cpu);
        return heap.acquire(at) ? at : 0;
      },
    ],
  ];
}

function lists(machine: HelperMachine): Rows {
  const { memory, heap } = machine;
  const head = (cpu: Cpu): ListHead => new ListHead(memory, cpu.pointer(1));
  return [
    ["bpf_list_push_front_impl", (cpu) => heap.push(cpu.pointer(1), cpu.pointer(2), "front")],
    ["bpf_list_push_back_impl", (cpu) => heap.push(cpu.pointer(1), cpu.pointer(2), "back")],
    ["bpf_list_pop_front", (cpu) => head(cpu).take("front")],
    ["bpf_list_pop_back", (cpu) => head(cpu).take("back")],
    ["bpf_list_front", (cpu) => head(cpu).peek("front")],
    ["bpf_list_back", (cpu) => head(cpu).peek("back")],
  ];
}

function trees(machine: HelperMachine): Rows {
  const { memory, heap } = machine;
  /** The node, if it is in the tree; 0 otherwise. */
  const member = (cpu: Cpu): number => {
    const node = cpu.pointer(2);
    return tree.owner(memory, node) === cpu.pointer(1) ? node : 0;
  };
  return [
    [
      "bpf_rbtree_add_impl",
      (cpu) => {
        const [root, node, less] = [cpu.pointer(1), cpu.pointer(2), cpu.pointer(3)];
        return heap.insert(root, node, (a, b) => cpu.callback(less, [a, b]) !== 0);
      },
    ],
    [
      "bpf_rbtree_remove",
      (cpu) => {
        const node = member(cpu);
        if (node !== 0) tree.remove(memory, cpu.pointer(1), node);
        return node;
      },
    ],
    ["bpf_rbtree_first", (cpu) => tree.first(memory, cpu.pointer(1))],
    ["bpf_rbtree_root", (cpu) => tree.root(memory, cpu.pointer(1))],
    [
      "bpf_rbtree_left",
      (cpu) => {
        const node = member(cpu);
        return node === 0 ? 0 : tree.left(memory, cpu.pointer(1), node);
      },
    ],
    [
      "bpf_rbtree_right",
      (cpu) => {
        const node = member(cpu);
        return node === 0 ? 0 : tree.right(memory, cpu.pointer(1), node);
      },
    ],
  ];
}
