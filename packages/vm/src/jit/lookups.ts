/**
 * @module
 * Map lookups as WebAssembly functions, one for each kind and key size: control block and key's address give the value's address, 0 where
 * the key is absent. The tables are those of maps/table.ts and maps/lpm.ts; their layouts are in maps/shapes.ts.
 */
import { control, hashConstants, node, trie } from "../maps/shapes.ts";
import { Body } from "../wasm/module.ts";
import type { FunctionType } from "../wasm/module.ts";
import { op, valueType } from "../wasm/opcodes.ts";

export const lookupType: FunctionType = { params: [valueType.i32, valueType.i32], results: [valueType.i32] };

const CONTROL = 0;
const KEY = 1;

export type LookupKind = "hash" | "lru" | "lpm";

/** Longer keys are looked up by the host: the functions hold one comparison per word. */
export const MAX_INLINE_KEY = 128;

export function lookupBody(kind: LookupKind, keySize: number): Body {
  return kind === "lpm" ? lpmLookup(keySize) : hashLookup(keySize, kind === "lru");
}

/** Pieces of a key, widest first. */
function pieces(size: number): { at: number; bytes: 8 | 4 | 2 | 1 }[] {
  const found: { at: number; bytes: 8 | 4 | 2 | 1 }[] = [];
  let at = 0;
  for (const bytes of [8, 4, 2, 1] as const) {
    while (size - at >= bytes) {
      found.push({ at, bytes });
      at += bytes;
    }
  }
  return found;
}

const narrowLoads = { 4: op.i32Load, 2: op.i32Load16U, 1: op.i32Load8U } as const;

/** Leaves the hash of the key on the stack: `hashKey` of maps/shapes.ts. */
function emitHash(body: Body, keySize: number, hash: number): void {
  body.i32(hashConstants.seed).set(hash);
  for (let at = 0; at < keySize; at += 4) {
    const left = keySize - at;
    body.get(hash).get(KEY);
    if (left >= 4) body.memory(op.i32Load, at);
    else if (left === 3) {
      body
        .memory(op.i32Load16U, at)
        .get(KEY)
        .memory(op.i32Load8U, at + 2)
        .i32(16)
        .op(op.i32Shl, op.i32Or);
    } else body.memory(left === 2 ? op.i32Load16U : op.i32Load8U, at);
    body.op(op.i32Xor).i32(hashConstants.first).op(op.i32Mul).tee(hash);
    body.get(hash).i32(15).op(op.i32ShrU, op.i32Xor).set(hash);
  }
  body.get(hash).i32(hashConstants.last).op(op.i32Mul).tee(hash);
  body.get(hash).i32(16).op(op.i32ShrU, op.i32Xor).set(hash);
}

/** Leaves whether the keys at `KEY` and in the node are equal. */
function emitSameKey(body: Body, keySize: number, at: number): void {
  const wide = pieces(keySize).filter(({ bytes }) => bytes === 8);
  const narrow = pieces(keySize).filter(({ bytes }) => bytes !== 8);
  wide.forEach(({ at: offset }, index) => {
    body
      .get(KEY)
      .memory(op.i64Load, offset)
      .get(at)
      .memory(op.i64Load, node.key + offset)
      .op(op.i64Xor);
    if (index > 0) body.op(op.i64Or);
  });
  if (wide.length > 0) body.op(op.i64Eqz);
  narrow.forEach(({ at: offset, bytes }, index) => {
    if (bytes === 8) return;
    body.get(KEY).memory(narrowLoads[bytes], offset);
    body
      .get(at)
      .memory(narrowLoads[bytes], node.key + offset)
      .op(op.i32Xor);
    if (index > 0) body.op(op.i32Or);
  });
  if (narrow.length > 0) body.op(op.i32Eqz);
  if (wide.length > 0 && narrow.length > 0) body.op(op.i32And);
}

function hashLookup(keySize: number, lru: boolean): Body {
  const body = new Body(2);
  const hash = body.local(valueType.i32);
  const at = body.local(valueType.i32);
  emitHash(body, keySize, hash);
  body.get(CONTROL).memory(op.i32Load, control.mask).get(hash).op(op.i32And).i32(2).op(op.i32Shl);
  body.get(CONTROL).memory(op.i32Load, control.buckets).op(op.i32Add).memory(op.i32Load).set(at);
  body.block().loop();
  body.get(at).op(op.i32Eqz).brIf(0);
  body.get(at).memory(op.i32Load, node.hash).get(hash).op(op.i32Eq).if();
  emitSameKey(body, keySize, at);
  body.if();
  if (lru) body.get(at).i32(1).memory(op.i32Store, node.used);
  body
    .get(at)
    .memory(op.i32Load, node.value)
    .get(CONTROL)
    .memory(op.i32Load, control.cpuOffset)
    .op(op.i32Add, op.return);
  body.end().end();
  body.get(at).memory(op.i32Load, node.next).set(at).br(1);
  body.end().end();
  body.i32(0);
  return body;
}

/** trie_lookup_elem (kernel/bpf/lpm_trie.c), with the prefix of each node as a mask. */
function lpmLookup(keySize: number): Body {
  const body = new Body(2);
  const at = body.local(valueType.i32);
  const found = body.local(valueType.i32);
  const length = body.local(valueType.i32);
  const limit = body.local(valueType.i32);
  const bytes = keySize - 4;
  const maskAt = trie.data + trie.dataBytes(bytes);
  body
    .get(KEY)
    .memory(op.i32Load)
    .tee(limit)
    .i32(bytes * 8)
    .op(op.i32GtU)
    .if()
    .i32(0)
    .op(op.return)
    .end();
  body.get(CONTROL).memory(op.i32Load, control.root).set(at);
  body.block().loop();
  body.get(at).op(op.i32Eqz).brIf(0);
  body.get(at).memory(op.i32Load, trie.length).tee(length).get(limit).op(op.i32GtU).brIf(0);
  for (const { at: offset, bytes: width } of pieces(bytes)) {
    if (width === 8) {
      body
        .get(KEY)
        .memory(op.i64Load, 4 + offset)
        .get(at)
        .memory(op.i64Load, trie.data + offset)
        .op(op.i64Xor);
      body
        .get(at)
        .memory(op.i64Load, maskAt + offset)
        .op(op.i64And, op.i64Eqz, op.i32Eqz)
        .brIf(0);
    } else {
      const load = narrowLoads[width];
      body
        .get(KEY)
        .memory(load, 4 + offset)
        .get(at)
        .memory(load, trie.data + offset)
        .op(op.i32Xor);
      body
        .get(at)
        .memory(load, maskAt + offset)
        .op(op.i32And)
        .brIf(0);
    }
  }
  body.get(at).memory(op.i32Load, trie.value).if();
  body.get(at).memory(op.i32Load, trie.value).set(found).end();
  body
    .get(length)
    .i32(bytes * 8)
    .op(op.i32Eq)
    .brIf(0);
  // The key's next bit chooses the child.
  body.get(KEY).get(length).i32(3).op(op.i32ShrU, op.i32Add).memory(op.i32Load8U, 4);
  body.i32(7).get(length).i32(7).op(op.i32And, op.i32Sub, op.i32ShrU).i32(1).op(op.i32And).i32(2).op(op.i32Shl);
  body.get(at).op(op.i32Add).memory(op.i32Load, trie.children).set(at).br(1);
  body.end().end();
  body.get(found);
  return body;
}
