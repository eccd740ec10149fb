import { ApiError } from "../api/client";
import { useText, type Text } from "../i18n/text";

/** An error in words: what came and what to do. */
export function problemWords({ t }: Text, error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof TypeError ? t("error.network") : String((error as Error)?.message ?? error);
  if (error.status === 0) return t("error.network");
  if (error.status === 403) return t("error.hidden");
  if (error.status === 412) return t("error.conflict");
  const { detail, came, expected, todo } = error.problem;
  const what = [came, expected].filter(Boolean).join("; ") || detail || error.message;
  return [what, todo && t("error.todo", { todo })].filter(Boolean).join(what.endsWith(".") ? " " : ". ");
}

/** An error on the page, with a way to go on; it stays until it is answered. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const text = useText();
  return (
    <div className="problem" role="alert">
      <strong>{text.t("error.title")}</strong>
      <p>{problemWords(text, error)}</p>
      {retry && <button onClick={retry}>{text.t("app.retry")}</button>}
    </div>
  );
}
