/**
 * @module
 * The page's side of its worker. What runs too long is stopped by ending the worker; the next question begins a new one.
 */
import type { AnswerTo, Question, Reply } from "./work.ts";

/** As much of the browser's Worker as this page uses. */
interface PageWorker {
  postMessage(message: { readonly id: number; readonly question: Question }, transferred: readonly never[]): void;
  terminate(): void;
  onmessage: ((event: { readonly data: Reply }) => void) | null;
  onerror: ((event: { readonly message?: string }) => void) | null;
}
type WorkerClass = new (url: string) => PageWorker;

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
}

let worker: PageWorker | null = null;
let lastId = 0;
const waiting = new Map<number, Waiting>();

function failAll(error: Error): void {
  for (const each of waiting.values()) each.reject(error);
  waiting.clear();
}

function start(): PageWorker {
  const { Worker } = globalThis as unknown as { readonly Worker: WorkerClass };
  const made = new Worker("worker.js");
  made.onmessage = ({ data }) => {
    const asker = waiting.get(data.id);
    waiting.delete(data.id);
    if ("failure" in data) asker?.reject(new Error(data.failure));
    else asker?.resolve(data.answer);
  };
  made.onerror = ({ message }) => {
    worker = null;
    made.terminate();
    failAll(new Error(message ?? "the worker could not be loaded"));
  };
  return made;
}

/** Rejects with what the worker says went wrong, or where it was stopped. */
export function ask<Q extends Question>(question: Q): Promise<AnswerTo<Q>> {
  worker ??= start();
  const id = ++lastId;
  const answer = new Promise<AnswerTo<Q>>((resolve, reject) => {
    waiting.set(id, { resolve: (given) => resolve(given as AnswerTo<Q>), reject });
  });
  worker.postMessage({ id, question }, []);
  return answer;
}

/** Ends what is under way. */
export function stop(): void {
  worker?.terminate();
  worker = null;
  failAll(new Error("it was stopped"));
}
