/** The findings being written: a history to undo, and what is not saved yet. Pure. */
import type { Finding } from "../api/types";

export interface Draft {
  readonly findings: readonly Finding[];
  readonly before: readonly (readonly Finding[])[];
  readonly after: readonly (readonly Finding[])[];
}

export type DraftAction =
  | { do: "load"; findings: readonly Finding[] }
  | { do: "put"; finding: Finding }
  | { do: "remove"; id: string }
  | { do: "undo" }
  | { do: "redo" };

export const EMPTY_DRAFT: Draft = { findings: [], before: [], after: [] };
const MOST = 100;

export function draft(state: Draft, action: DraftAction): Draft {
  const change = (findings: readonly Finding[]): Draft => ({
    findings, before: [...state.before, state.findings].slice(-MOST), after: [],
  });
  switch (action.do) {
    case "load":
      return { findings: action.findings, before: [], after: [] };
    case "put": {
      const known = state.findings.some(({ id }) => id === action.finding.id);
      return change(known
        ? state.findings.map((one) => (one.id === action.finding.id ? action.finding : one))
        : [...state.findings, action.finding]);
    }
    case "remove":
      return state.findings.some(({ id }) => id === action.id) ? change(state.findings.filter(({ id }) => id !== action.id)) : state;
    case "undo": {
      const last = state.before.at(-1);
      return last ? { findings: last, before: state.before.slice(0, -1), after: [state.findings, ...state.after] } : state;
    }
    case "redo": {
      const [next, ...rest] = state.after;
      return next ? { findings: next, before: [...state.before, state.findings], after: rest } : state;
    }
  }
}
