import { attachPersistent, detachPersistent, type PersistentTarget } from "@skep/linux";
import { oneMap, oneProgram } from "./select.ts";
import type { Session } from "./session.ts";

const types = [
  "sk_msg_verdict",
  "sk_skb_verdict",
  "sk_skb_stream_verdict",
  "sk_skb_stream_parser",
  "flow_dissector",
] as const;

/** What bpftool called these before they had the kernel's names. */
const formerly: Readonly<Record<string, (typeof types)[number]>> = {
  msg_verdict: "sk_msg_verdict",
  skb_verdict: "sk_skb_verdict",
  stream_verdict: "sk_skb_stream_verdict",
  stream_parser: "sk_skb_stream_parser",
};

function readTarget(session: Session): PersistentTarget {
  const { words } = session;
  const old = formerly[words.peek() ?? ""];
  if (old !== undefined) words.next("an attach type");
  const attachType = old ?? words.choice("attach type", types);
  if (attachType === "flow_dissector") {
    words.end();
    return { attachType };
  }
  const map = oneMap(session);
  words.end();
  return { attachType, map };
}

/** `prog attach PROG TYPE [MAP]`. */
export async function progAttach(session: Session): Promise<void> {
  const program = oneProgram(session);
  attachPersistent(program, readTarget(session));
  await session.done();
}

/** `prog detach PROG TYPE [MAP]`. */
export async function progDetach(session: Session): Promise<void> {
  const program = oneProgram(session);
  detachPersistent(program, readTarget(session));
  await session.done();
}
