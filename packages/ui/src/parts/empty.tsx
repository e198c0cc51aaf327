import { Code, type ConnectError } from "@connectrpc/connect";
import type { ReactNode } from "react";
import { Icon, type IconName } from "./icon.tsx";

interface EmptyProps {
  readonly icon: IconName;
  readonly title: string;
  readonly children?: ReactNode;
}

/** Instead of what is not there. */
export function Empty({ icon, title, children }: EmptyProps): ReactNode {
  return (
    <div className="empty">
      <Icon name={icon} size={28} />
      <p className="empty-title">{title}</p>
      {children === undefined ? null : <div className="empty-text">{children}</div>}
    </div>
  );
}

/** Instead of what an agent would have told; `what`: the policies. */
export function NotTold({
  problem,
  what,
}: {
  readonly problem: ConnectError | null;
  readonly what: string;
}): ReactNode {
  if (problem === null) return <Empty icon="flows" title="Asking the agent …" />;
  if (problem.code === Code.Unimplemented)
    return (
      <Empty icon="search" title={`This server does not tell ${what}`}>
        Flows are all that Hubble’s API has. For the rest open the page of an agent.
      </Empty>
    );
  return (
    <Empty icon="warn" title="The agent does not answer">
      The page asks again until it does. What it said last: <q>{problem.rawMessage}</q>
    </Empty>
  );
}
