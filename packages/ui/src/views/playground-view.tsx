import { type ReactNode, useEffect, useRef, useState } from "react";
import { Empty } from "../parts/empty.tsx";

/** Compiler, verifier and the user-space machine, in a page of their own that is loaded here when it is asked for. */
export function PlaygroundView(): ReactNode {
  const frame = useRef<HTMLIFrameElement>(null);
  const [isHere, setHere] = useState(false);
  /** The theme that was chosen here is the frame's too. */
  const applyTheme = (): void => {
    const inside = frame.current?.contentDocument?.documentElement;
    const chosen = document.documentElement.dataset["theme"];
    if (inside && chosen !== undefined) inside.dataset["theme"] = chosen;
    else if (inside) delete inside.dataset["theme"];
  };
  useEffect(() => {
    const themed = new MutationObserver(applyTheme);
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => themed.disconnect();
  }, []);
  return (
    <main className="playground">
      {isHere ? null : <Empty icon="playground" title="Loading the compiler, the verifier and the machine …" />}
      <iframe
        title="Playground: compiler, verifier and machine"
        src="/playground/"
        ref={frame}
        onLoad={() => {
          applyTheme();
          setHere(true);
        }}
      />
    </main>
  );
}
