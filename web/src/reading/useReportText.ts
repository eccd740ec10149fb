import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { api, ApiError } from "../api/client";
import type { ReportText, TemplateUse } from "../api/types";
import type { Saving } from "./useDraft";

const WAIT_MS = 600;
const AGAIN_MS = 3000;

interface Written {
  readonly text: string;
  readonly templates: readonly TemplateUse[];
}

export interface ReportTextHandle extends Written {
  /** Whether what is written here is kept with the reading. */
  readonly kept: boolean;
  readonly editable: boolean;
  readonly saving: Saving;
  /** How often it was saved: what is made of it is asked for again then. */
  readonly version: number;
  /** What another window saved meanwhile. */
  readonly other: ReportText | null;
  write(text: string, template?: TemplateUse): void;
  /** Go on with the other window's text, or save this one over it. */
  choose(which: "other" | "mine"): void;
  /** Save what is unsaved. */
  settle(): Promise<void>;
}

/**
 * The reader's own text for the report, saved as it is written: one save at a time, a short wait after each change,
 * tried again until the server has it. Two windows never overwrite each other: the reader chooses.
 */
export function useReportText(uid: string, kept: boolean, editable: boolean): ReportTextHandle {
  const queries = useQueryClient();
  const [written, setWritten] = useState<Written>({ text: "", templates: [] });
  const [saving, setSaving] = useState<Saving>({ step: "saved", at: null });
  const [version, setVersion] = useState(0);
  const [other, setOther] = useState<ReportText | null>(null);
  const stored = useQuery({ queryKey: ["report-text", uid], queryFn: () => api.reportText(uid), enabled: kept, staleTime: Infinity, gcTime: 0 });
  const known = useRef(0);
  const saved = useRef<Written | null>(null);
  const latest = useRef(written);
  const running = useRef<Promise<void> | null>(null);
  latest.current = written;

  const take = useCallback((found: ReportText) => {
    const next = { text: found.text, templates: found.templates };
    known.current = found.version;
    saved.current = next;
    latest.current = next;
    setWritten(next);
    setVersion(found.version);
    setOther(null);
    setSaving({ step: "saved", at: found.saved_at });
  }, []);

  useEffect(() => {
    // it is loaded once; afterwards the window knows best
    if (stored.data && saved.current === null) take(stored.data);
  }, [stored.data, take]);

  const save = useCallback(async (): Promise<void> => {
    while (saved.current !== null && saved.current !== latest.current) {
      const now = latest.current;
      setSaving({ step: "saving" });
      try {
        const done = await api.saveReportText(uid, { text: now.text, language: "auto", templates: [...now.templates] }, known.current);
        known.current = done.version;
        saved.current = now;
        setVersion(done.version);
        setSaving({ step: "saved", at: done.saved_at });
      } catch (error) {
        if (error instanceof ApiError && error.status === 412) setOther(await api.reportText(uid));
        throw error;
      }
    }
    await queries.invalidateQueries({ queryKey: ["report", uid] });
  }, [uid, queries]);

  const run = useCallback((): Promise<void> => {
    running.current ??= save().finally(() => (running.current = null));
    return running.current;
  }, [save]);

  useEffect(() => {
    if (!editable || other || saved.current === null || saved.current === written) return undefined;
    let timer = setTimeout(function attempt() {
      run().catch((error: unknown) => {
        setSaving({ step: "unsaved", error });
        timer = setTimeout(attempt, AGAIN_MS);
      });
    }, WAIT_MS);
    const leave = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", leave);
    return () => {
      clearTimeout(timer);
      removeEventListener("beforeunload", leave);
    };
  }, [written, editable, other, run, saving]);

  // what was written last is saved when the study is left inside the page
  useEffect(() => () => void (editable && run().catch(() => undefined)), [editable, run]);

  const write = useCallback((text: string, template?: TemplateUse) => setWritten(({ templates }) => ({
    text, templates: template && !templates.some(({ name }) => name === template.name) ? [...templates, template] : templates,
  })), []);
  const choose = useCallback((which: "other" | "mine") => {
    if (!other) return;
    if (which === "other") take(other);
    else {
      known.current = other.version;
      setOther(null);
    }
  }, [other, take]);
  const settle = useCallback(async () => {
    if (!editable || saved.current === null || saved.current === latest.current) return;
    await run();
    await run();
  }, [editable, run]);
  return { ...written, kept: kept && stored.data !== undefined, editable: editable && (!kept || stored.data !== undefined), saving, version, other, write, choose, settle };
}
