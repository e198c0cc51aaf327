/**
 * @module
 * Where things lie in the machine's linear memory. Programs hold addresses as zero-extended offsets into it; what they may touch are
 * regions (memory.ts), everything below `REGIONS` is the machine's own.
 */

/** What WebAssembly and the helpers hand each other. */
export const cells = {
  /** r1 to r5, eight bytes each. */
  args: 4096,
  /** r0. */
  result: 4096 + 40,
  /** Tail calls of the run. */
  tailCalls: 4160,
  /** Instructions left, signed. */
  fuel: 4164,
  /** What `fuel` is at the start of a run. */
  budget: 4216,
  /** First byte of the packet and the one behind its last. */
  packetStart: 4168,
  packetEnd: 4172,
  /** Top of the frame that calls a helper, for its callbacks. */
  frame: 4200,
  /** From helper `tail_call`: one more than the table's index of the program that is to run, 0 for none. */
  tailSlot: 4208,
  /** Bytes of stack in the frames above, rounded as the kernel's verifier does. */
  depth: 4176,
  /** Where an object begins and ends (u64 each), from the host's answer to a slow access. */
  objectStart: 4184,
  objectEnd: 4192,
  /** Answers of the clocks that tick, and how often they may still be given again before the host is asked. */
  coarse: { value: 4224, left: 4240 },
  jiffies: { value: 4232, left: 4244 },
} as const;

/** One block of `CONTROL_BYTES` per map, by its id: what a lookup in WebAssembly reads. */
export const CONTROLS = 0x10_0000;
export const CONTROL_BYTES = 64;
export const MAX_MAPS = 0x1_0000;

/** One word per page of memory: the address of the descriptor of the region that owns it, 0 for none. */
export const PAGE_TABLE = 0x80_0000;
/** The first address of regions. */
export const REGIONS = 0xa0_0000;

/** A region as WebAssembly reads it: words at these offsets. */
export const descriptor = { start: 0, end: 4, stride: 8, size: 12, flags: 16, bytes: 32 } as const;
export const regionFlags = { writable: 1, dynamic: 2, stack: 4 } as const;

export const MAX_FRAMES = 8;
/** MAX_BPF_STACK (include/linux/filter.h). */
export const FRAME_BYTES = 512;
/** Frames are this far apart, so that no access crosses from one into the other. */
export const FRAME_STRIDE = 1024;
/** How often one answer of a clock that ticks is given in a run. */
export const COARSE_READS = 64;
/** BPF_MAX_LOOPS (include/linux/bpf.h): what `may_goto` allows. */
export const MAX_LOOPS = 8 * 1024 * 1024;
/** MAX_TAIL_CALL_CNT (include/linux/bpf.h). */
export const MAX_TAIL_CALLS = 33;

/** A value that no pointer has: its low word, up to 2 GiB more, is behind the end of every memory. In two words. */
export const NOWHERE = { low: 0x8000_0000 | 0, high: 0x5bd1_e995 } as const;
