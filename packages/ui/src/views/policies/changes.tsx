import type { ReactNode } from "react";
import { counted, formatCount } from "../../model/text.ts";
import type { SimulationResult } from "../../policy/engine.ts";

/** What another text would change about the shown flows. */
export function Changes({ result }: { readonly result: SimulationResult }): ReactNode {
  const { problems, policies, flows, changed, unknown, rows } = result;
  if (problems.length > 0) {
    return (
      <div className="changes" role="alert">
        <h3>The text has errors</h3>
        <ul>
          {problems.map(({ code, message, span, hint }) => (
            <li key={`${code} ${span?.line} ${message}`} className="tone denied">
              {span ? `Line ${span.line}, column ${span.column}: ` : ""}
              {message}
              {hint === undefined ? "" : ` (${hint})`}
            </li>
          ))}
        </ul>
      </div>
    );
  }
  if (policies === 0) return <p className="notice">There is no policy in the text.</p>;
  return (
    <div className="changes">
      <p role="status" className="changes-sum">
        {rows.length === 0 ? "No verdict changes" : `${counted(changed, "flow")} would get another verdict`}, of{" "}
        {formatCount(flows)}
        {unknown === 0 ? "" : `; ${formatCount(unknown)} with an unknown end`}.
      </p>
      {rows.length === 0 ? null : (
        <table className="table">
          <thead>
            <tr>
              {["Flows", "From", "To", "Port", "Verdict", "By"].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={JSON.stringify(row)}>
                <td className="number">{formatCount(row.count)}</td>
                <td>{row.from}</td>
                <td>{row.to}</td>
                <td>{row.port}</td>
                <td>
                  {row.before} →{" "}
                  <span className={`verdict ${row.after === "denied" ? "dropped" : "forwarded"}`}>{row.after}</span>
                </td>
                <td className="quiet">{row.by}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}
