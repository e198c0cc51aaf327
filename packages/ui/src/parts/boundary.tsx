import { Component, type ReactNode } from "react";
import { Empty } from "./empty.tsx";

interface BoundaryProps {
  /** Another one begins anew. */
  readonly name: string;
  readonly children: ReactNode;
}

interface BoundaryState {
  readonly name: string;
  readonly error: Error | null;
}

/** A view that fails takes nothing else with it. */
export class Boundary extends Component<BoundaryProps, BoundaryState> {
  override state: BoundaryState = { name: this.props.name, error: null };

  static getDerivedStateFromError(error: Error): Partial<BoundaryState> {
    return { error };
  }

  static getDerivedStateFromProps({ name }: BoundaryProps, state: BoundaryState): Partial<BoundaryState> | null {
    return name === state.name ? null : { name, error: null };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (!error) return this.props.children;
    return (
      <main className="untold">
        <Empty icon="warn" title="This view failed">
          <q>{error.message}</q>{" "}
          <button type="button" className="button" onClick={() => this.setState({ error: null })}>
            Try again
          </button>
        </Empty>
      </main>
    );
  }
}
