import type { Part, Reading } from "../api/types";
import { KeyHint } from "../app/KeyHint";
import { clock, significant, useText } from "../i18n/text";
import type { Layout, Tool, ViewerAction, ViewerState } from "../viewer/state";
import type { Saving } from "./useDraft";

interface Props {
  readonly state: ViewerState;
  readonly loaded: string;
  readonly hovered: { part: Part; value: number } | null;
  readonly reading: Reading | undefined;
  readonly saving: Saving | null;
  dispatch(action: ViewerAction): void;
  help(): void;
}

const TOOLS: readonly Tool[] = ["window", "zoom", "length", "ellipse"];
const LAYOUTS: readonly (readonly [Layout, string])[] = [[1, "1"], [2, "1×2"], [3, "1+2"], [4, "2×2"]];

/** What the mouse does, how the views lie, what is loaded, the value under the cursor, what is stored. */
export function StatusBar({ state, loaded, hovered, reading, saving, dispatch, help }: Props) {
  const { t, language } = useText();
  const stored = !reading ? ""
    : reading.signed_at ? t("reading.signed", { time: clock(language, reading.signed_at) })
    : reading.committed_at ? t("reading.stored", { time: clock(language, reading.committed_at) })
    : reading.opened_at ? t("reading.since", { time: clock(language, reading.opened_at) }) : "";
  return (
    <footer className="status">
      <span role="toolbar" aria-label={t("view.toolbar")} className="tools">
        {TOOLS.map((tool) => (
          <button key={tool} aria-pressed={state.tool === tool} onClick={() => dispatch({ do: "tool", tool: state.tool === tool ? "window" : tool })}>
            {t(`view.tool.${tool}`)}
            {tool !== "window" && <> <KeyHint action={`tool.${tool}`} /></>}
          </button>
        ))}
        {LAYOUTS.map(([layout, name]) => (
          <button key={layout} aria-pressed={state.layout === layout} aria-label={`${name} ${t(`key.layout.${layout}`)}`} onClick={() => dispatch({ do: "layout", layout })}>{name}</button>
        ))}
      </span>
      <span role="status">{loaded}</span>
      <span>{hovered && t("view.cursor", { value: significant(language, hovered.value, 4), unit: hovered.part.unit === "stored" ? "" : hovered.part.unit })}</span>
      <span className="end" role="status">
        {saving?.step === "saving" && t("draft.saving")}
        {saving?.step === "unsaved" && <strong>{t("draft.unsaved")}</strong>}
        {saving?.step === "saved" && saving.at && t("draft.saved", { time: clock(language, saving.at) })}
      </span>
      <span>{stored}</span>
      <button onClick={help}>{t("app.help")} <KeyHint action="help" /></button>
    </footer>
  );
}
