import { useRef, useState, type DragEvent, type ReactNode } from "react";
import { api, upload } from "../api/client";
import { problemWords } from "../app/Problem";
import { useText } from "../i18n/text";
import { droppedFiles } from "./dropped";

type Sending =
  | { step: "idle" } | { step: "sending"; files: number; part: number } | { step: "checking"; words: string }
  | { step: "done" } | { step: "failed"; error: unknown };

interface Props {
  readonly children: ReactNode;
  /** Whether the area with its buttons is in sight, or only takes what is dropped. */
  readonly visible?: boolean;
  done(): void;
}

/** Takes files by drag and drop or by choice, and tells how far they are; nothing vanishes by itself. */
export function UploadArea({ children, visible = false, done }: Props) {
  const text = useText();
  const { t } = text;
  const [state, setState] = useState<Sending>({ step: "idle" });
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);

  async function send(chosen: readonly File[]): Promise<void> {
    if (chosen.length === 0) return;
    try {
      setState({ step: "sending", files: chosen.length, part: 0 });
      const { job } = await upload(chosen, (part) => setState({ step: "sending", files: chosen.length, part }));
      for (;;) {
        const now = await api.job(job);
        if (now.state === "done") break;
        if (now.state === "failed" || now.state === "cancelled") throw new Error(now.words);
        setState({ step: "checking", words: now.words });
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      setState({ step: "done" });
      done();
    } catch (error) {
      setState({ step: "failed", error });
    }
  }

  function drop(event: DragEvent): void {
    event.preventDefault();
    setOver(false);
    void droppedFiles(event.dataTransfer).then(send);
  }

  return (
    <div className={`drop${over ? " over" : ""}`} onDrop={drop}
      onDragOver={(event) => { event.preventDefault(); setOver(true); }}
      onDragLeave={(event) => event.currentTarget === event.target && setOver(false)}>
      {children}
      {visible && (
        <section className="upload">
          <p>{t("intake.drop")}</p>
          <button onClick={() => files.current?.click()}>{t("intake.choose")}</button>
          <button onClick={() => folder.current?.click()}>{t("intake.folder")}</button>
          <input ref={files} type="file" multiple hidden data-testid="upload"
            onChange={(event) => void send([...(event.target.files ?? [])])} />
          <input ref={folder} type="file" multiple hidden {...{ webkitdirectory: "" }}
            onChange={(event) => void send([...(event.target.files ?? [])])} />
        </section>
      )}
      {state.step !== "idle" && (
        <div className="sending" role="status">
          {state.step === "sending" && (
            <>
              <span>{t("intake.sending", { n: state.files, percent: Math.round(state.part * 100) })}</span>
              <progress max={1} value={state.part} aria-label={t("intake.title")} />
            </>
          )}
          {state.step === "checking" && <span>{t("intake.checking", { words: state.words })}</span>}
          {state.step === "done" && <span>{t("intake.done")}</span>}
          {state.step === "failed" && <span>{t("intake.failed", { why: problemWords(text, state.error) })}</span>}
          {(state.step === "done" || state.step === "failed") && (
            <button onClick={() => setState({ step: "idle" })}>{t("app.close")}</button>
          )}
        </div>
      )}
    </div>
  );
}
