import { useEffect, useRef } from "react";
import type { Report } from "../api/types";
import { dayAndTime, useText } from "../i18n/text";

/** The report as it is printed: dark on white. */
export function ReportPreview({ report, close }: { report: Report; close: () => void }) {
  const { t, language } = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  const page = useRef<HTMLIFrameElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const print = () => (report.html ? page.current?.contentWindow?.print() : window.print());
  return (
    <dialog ref={dialog} className="preview" onClose={close} aria-label={t("report.preview")}>
      <header className="row no-print">
        <h2>{t("report.preview")}</h2>
        <span className="act">
          <button onClick={print}>{t("report.print")}</button>
          <button onClick={() => dialog.current?.close()}>{t("app.close")}</button>
        </span>
      </header>
      {report.html ? (
        // what the server wrote may hold patient's words: no script runs in it
        <iframe ref={page} title={t("report.preview")} sandbox="allow-same-origin allow-modals" srcDoc={report.html} />
      ) : (
        <div className="paper" tabIndex={0}>
          {report.sections.filter((section) => section.sentences.length > 0).map((section) => (
            <section key={section.name}>
              <h3>{section.title}</h3>
              {section.sentences.map((sentence, n) => <p key={n}>{sentence.text}</p>)}
            </section>
          ))}
          {report.signed_at && <p className="signature">{report.reader}, {dayAndTime(language, report.signed_at)}</p>}
        </div>
      )}
    </dialog>
  );
}
