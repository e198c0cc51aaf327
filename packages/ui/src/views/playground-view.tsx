import type { ReactNode } from "react";

/** Compiler, verifier and the user-space machine, in a page of their own that is loaded here when it is asked for. */
export function PlaygroundView(): ReactNode {
  return (
    <main className="playground">
      <iframe title="Playground: compiler, verifier and machine" src="/playground/" />
    </main>
  );
}
