import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createClients } from "./api/clients.ts";
import { App } from "./app.tsx";
import { applyTheme, storedTheme } from "./state/theme.ts";
import "./style.css";

applyTheme(storedTheme());
const root = document.getElementById("root");
if (!root) throw new Error("the page has no place to be");
createRoot(root).render(
  <StrictMode>
    <App clients={createClients(window.location.origin)} />
  </StrictMode>,
);
