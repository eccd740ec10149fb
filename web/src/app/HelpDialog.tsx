import { useEffect, useRef } from "react";
import { useText } from "../i18n/text";
import { AFTER_REVEAL, BINDINGS, keyWords } from "./keys";

/** The list of all keys; those of the machine only once it is shown. */
export function HelpDialog({ revealed, close }: { revealed: boolean; close: () => void }) {
  const { t } = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="help" onClose={close} aria-labelledby="help-title">
      <header className="row">
        <h2 id="help-title">{t("help.title")}</h2>
        <button onClick={() => dialog.current?.close()}>{t("app.close")}</button>
      </header>
      <dl>
        {BINDINGS.filter(({ action }) => revealed || !AFTER_REVEAL.has(action)).map(({ action, shown }) => (
          <div key={action}>
            <dt><kbd>{shown}</kbd></dt>
            <dd>{t(keyWords(action))}</dd>
          </div>
        ))}
      </dl>
      <p className="muted">{t("help.mouse")}</p>
      <p className="muted">{t("help.typing")}</p>
    </dialog>
  );
}
