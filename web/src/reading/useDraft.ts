import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { api, ApiError } from "../api/client";
import type { Finding, Reading } from "../api/types";
import { draft, EMPTY_DRAFT, type Draft, type DraftAction } from "./draft";

export type Saving = { step: "saved"; at: string | null } | { step: "saving" } | { step: "unsaved"; error: unknown };

const WAIT_MS = 400;
const AGAIN_MS = 3000;

export interface DraftHandle {
  readonly draft: Draft;
  readonly saving: Saving;
  change(action: DraftAction): void;
  /** Save what is unsaved and give the version that a commit has to name. */
  settle(): Promise<number>;
}

/**
 * The findings of a read in progress, saved as they are written: one save at a time, a short wait after each
 * change, tried again until the server has it. A newer version on the server is loaded and saved over.
 */
export function useDraft(uid: string, reading: Reading | undefined, writable: boolean): DraftHandle {
  const [state, change] = useReducer(draft, EMPTY_DRAFT);
  const [saving, setSaving] = useState<Saving>({ step: "saved", at: null });
  const version = useRef(0);
  const saved = useRef<readonly Finding[] | null>(null);
  const latest = useRef<readonly Finding[]>([]);
  const running = useRef<Promise<void> | null>(null);
  const readId = reading ? `${reading.study}/${reading.first_read.length}/${writable}` : null;
  latest.current = state.findings;

  useEffect(() => {
    if (reading && reading.version > version.current) version.current = reading.version;
  }, [reading]);

  useEffect(() => {
    // a read is loaded once; afterwards the window knows best
    if (!readId || !reading) return;
    version.current = reading.version;
    saved.current = reading.draft;
    change({ do: "load", findings: reading.draft });
  }, [readId]);

  const save = useCallback(async (): Promise<void> => {
    while (saved.current !== latest.current && saved.current !== null) {
      const findings = latest.current;
      setSaving({ step: "saving" });
      try {
        version.current = (await api.saveDraft(uid, [...findings], version.current)).version;
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 412) throw error;
        version.current = (await api.reading(uid)).version;
        version.current = (await api.saveDraft(uid, [...findings], version.current)).version;
      }
      saved.current = findings;
      setSaving({ step: "saved", at: new Date().toISOString() });
    }
  }, [uid]);

  const run = useCallback((): Promise<void> => {
    running.current ??= save().finally(() => (running.current = null));
    return running.current;
  }, [save]);

  useEffect(() => {
    if (!writable || saved.current === null || saved.current === state.findings) return undefined;
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
  }, [state.findings, writable, run, saving]);

  // what was written last is saved when the study is left inside the page
  useEffect(() => () => void (writable && run().catch(() => undefined)), [writable, run]);

  const settle = useCallback(async () => {
    await run();
    await run();
    return version.current;
  }, [run]);
  return { draft: state, saving, change, settle };
}
