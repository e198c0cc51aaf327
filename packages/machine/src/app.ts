/**
 * @module
 * The types of a loaded module of kernel programs, from the types of its exports.
 */
import type {
  BpfMap,
  Config,
  Context,
  Global,
  Loose,
  MapOfMaps,
  PerfEventArray,
  ProgArray,
  Program as KernelProgram,
  RingBuf,
} from "@skep/bpf";
import type { EventOptions, EventStream } from "./events.ts";
import type { AttachTarget, Collection, Link, LoadOptions, Program } from "./machine.ts";
import type {
  PerCpuMap,
  TypedBloomFilter,
  TypedMap,
  TypedMapOfMaps,
  TypedProgArray,
  TypedQueue,
  TypedReferences,
  TypedStacks,
  TypedStorage,
} from "./typed-map.ts";

/** Marks per-CPU maps among the exports. */
type IsPerCpu<T> = "~percpu" extends keyof T ? true : false;

/** Kinds are told apart by the marks of their types: their methods alone are alike. */
type Mark<T, Name extends string> = Name extends keyof T ? NonNullable<T[Name]> : never;

/** What user space has of a map that the kernel program declares. */
export type MapHandle<T> = "~queue" extends keyof T
  ? TypedQueue<Mark<T, "~queue">>
  : "~bloom" extends keyof T
    ? TypedBloomFilter<Mark<T, "~bloom">>
    : "~storage" extends keyof T
      ? TypedStorage<Mark<T, "~storage">>
      : "~sockets" extends keyof T
        ? TypedReferences<Mark<T, "~sockets">>
        : "~redirect" extends keyof T
          ? TypedReferences<number>
          : "~cgroups" extends keyof T
            ? TypedReferences<number>
            : "~stacks" extends keyof T
              ? TypedStacks
              : KeyedHandle<T>;

type KeyedHandle<T> =
  T extends BpfMap<infer K, infer V>
    ? IsPerCpu<T> extends true
      ? PerCpuMap<K, V>
      : TypedMap<K, V>
    : T extends MapOfMaps<infer K, infer M>
      ? TypedMapOfMaps<K, MapHandle<M>>
      : T extends ProgArray
        ? TypedProgArray
        : never;

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** `Config` and `Global` differ in that the value of a `Config` is read-only, which assignability does not see. */
type IsConfig<T> = T extends { readonly value: unknown }
  ? Equal<Pick<T, "value">, Mutable<Pick<T, "value">>> extends true
    ? false
    : true
  : false;

type EventOf<T> = T extends RingBuf<infer E> ? E : T extends PerfEventArray<infer E> ? E : never;

export interface Variable<T> {
  /** Of all CPUs. Setting writes the whole section: not while the program writes other variables of it. */
  value: T;
}

/** The exports of `M` that are `K` in user space. */
export type Maps<M> = { readonly [K in keyof M as [MapHandle<M[K]>] extends [never] ? never : K]: MapHandle<M[K]> };
export type Events<M> = {
  readonly [K in keyof M as M[K] extends RingBuf<unknown> | PerfEventArray<unknown> ? K : never]: EventStream<
    EventOf<M[K]>
  >;
};
export type Programs<M> = { readonly [K in keyof M as M[K] extends KernelProgram<Context> ? K : never]: Program };
export type Globals<M> = {
  readonly [
    K in keyof M as M[K] extends Global<unknown> ? (IsConfig<M[K]> extends true ? never : K) : never
  ]: M[K] extends Global<infer T> ? Variable<T> : never;
};
export type ConfigValues<M> = {
  readonly [
    K in keyof M as M[K] extends Config<unknown> ? (IsConfig<M[K]> extends true ? K : never) : never
  ]?: M[K] extends Config<infer T> ? Loose<T> : never;
};

export interface AppOptions<M> extends Omit<LoadOptions, "config"> {
  /** Values of the module's `config()` variables, by export name. */
  readonly config?: ConfigValues<M>;
  /** The module itself, imported in user space: its export names are used, and its types are checked against the object's. */
  readonly module?: M;
  readonly events?: EventOptions;
}

/** A loaded module. */
export interface App<M> {
  readonly maps: Maps<M>;
  readonly events: Events<M>;
  readonly programs: Programs<M>;
  readonly globals: Globals<M>;
  readonly collection: Collection;
  attach(program: Program, target: AttachTarget): Link;
  /** Closes everything but links. */
  close(): void;
}
