import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useReducer, useRef, useState, useSyncExternalStore } from "react";
import { flushSync } from "react-dom";
import { api, ApiError } from "../api/client";
import type { Concept, DecisionRequest, Finding, Part, Reading, Series, Study } from "../api/types";
import { actionOf, AFTER_REVEAL, isTyping, type Action } from "../app/keys";
import { HelpDialog } from "../app/HelpDialog";
import { go } from "../app/route";
import { personName, probabilityWords, useText } from "../i18n/text";
import { patientLine } from "../pages/patient";
import { ColourBar } from "../viewer/ColourBar";
import { acquiredStack, nearestPlane } from "../viewer/geometry";
import { PictureView } from "../viewer/PictureView";
import { pixelsOf } from "../viewer/pixels";
import { presetsOf } from "../viewer/presets";
import { regionTarget } from "../viewer/regions";
import { startViewer, viewer, VIEWS_OF, type Measure } from "../viewer/state";
import type { Mode } from "./DecisionBox";
import { findingTitle, listOrder, machineOrder, measurementOf, neighbour, newFinding } from "./findings";
import { marksOf, outlinesOf, type Mark } from "./marks";
import { ReadingHeader } from "./ReadingHeader";
import { SeriesStrip } from "./SeriesStrip";
import { SidePanel, type Tab } from "./SidePanel";
import { StatusBar } from "./StatusBar";
import type { Step } from "./Steps";
import { useChecks } from "./ReportChecks";
import { useDraft } from "./useDraft";
import { useReportText } from "./useReportText";

interface Props {
  readonly study: Study;
  readonly reading: Reading | undefined;
  setReading(reading: Reading): void;
  refetchStudy(): void;
}

const FRAME_MS = 80;
const AGAIN_MS = 1500;

/** The reading of one study: views, marks, findings, decisions and report, by mouse and keys. */
export function ReadingPage({ study, reading, setReading, refetchStudy }: Props) {
  const text = useText();
  const { t, language } = text;
  const uid = study.study;
  const me = useQuery({ queryKey: ["me"], queryFn: api.me });
  const vocabulary = useQuery({ queryKey: ["vocabulary", language], queryFn: () => api.vocabulary(language), staleTime: Infinity });
  const [state, dispatch] = useReducer(viewer, study, startViewer);
  const [selected, setSelected] = useState<string | null>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const [mode, setMode] = useState<Mode>("buttons");
  const [tab, setTab] = useState<Tab>("findings");
  const [help, setHelp] = useState(false);
  const [drawer, setDrawer] = useState(false);
  const [busy, setBusy] = useState(false);
  const [awaited, setAwaited] = useState(false);
  const here = useRef<string | null>(null); // the study that is on the page
  const [error, setError] = useState<unknown>(null);
  const [warned, setWarned] = useState(false);
  const [stated, setStated] = useState<ReadonlySet<string>>(new Set());
  const [hovered, setHovered] = useState<{ part: Part; value: number } | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const canRead = study.reading.can_read;

  const stage = reading?.state ?? "unread";
  const signed = stage === "signed" || stage === "addendum";
  const revealed = stage === "ai_shown" || stage === "reconciled" || signed;
  const late = Boolean(reading?.more_images) && reading!.first_read.length > 0 && !signed;
  const alone = stage === "reading" || late;
  const writable = canRead && reading !== undefined;
  const { draft, saving, change, settle } = useDraft(uid, reading, writable && alone);
  const ownText = useReportText(uid, writable && stage !== "unread", !signed);
  const checks = useChecks(uid, reading, ownText.version, setReading);

  const comparison = useQuery({
    queryKey: ["comparison", uid, reading?.version], queryFn: () => api.comparison(uid),
    enabled: revealed, placeholderData: (before) => before, staleTime: Infinity,
  });
  const shown = revealed ? comparison.data ?? null : null;

  // pictures and their series
  const allSeries = useMemo(() => [...study.series, ...study.priors.flatMap((prior) => prior.series)], [study]);
  const parts = useMemo(() => allSeries.flatMap((series) => series.parts), [allSeries]);
  const seriesOf = useCallback((part: Part): Series | undefined => allSeries.find((one) => one.parts.some(({ key }) => key === part.key)), [allSeries]);
  const corner = useMemo(() => ({
    patient: [personName(study.patient.name), [t("patient.id", { id: study.patient.id }), patientLine(text, study.patient)].filter(Boolean).join(" · ")],
    series: (part: Part) => {
      const series = seriesOf(part);
      return [series?.description ?? "", series?.number != null ? t("view.series", { n: series.number }) : ""].filter(Boolean);
    },
    tags: (part: Part) => {
      const series = seriesOf(part);
      return [series?.simulated ? t("app.simulated") : "", series?.lossy ? t("app.lossy") : ""].filter(Boolean);
    },
  }), [study, text, t, seriesOf]);

  // findings and marks
  const own = useMemo(() => (alone ? [...(reading?.first_read ?? []), ...draft.findings] : reading?.first_read ?? []), [alone, draft.findings, reading]);
  const machineOn = shown !== null && !late && state.machine.on;
  const marks = useMemo(() => marksOf(own, shown, machineOn), [own, shown, machineOn]);
  const outlines = useMemo(() => outlinesOf(shown, machineOn), [shown, machineOn]);
  const active = state.views[state.active]!;
  const maps = late ? [] : shown?.maps ?? [];
  const map = maps.find(({ id }) => id === state.machine.map) ?? maps.find(({ part_key }) => part_key === active.stack?.part.key) ?? maps[0] ?? null;
  const findingOf = useCallback((id: string): Finding | undefined => own.find((one) => one.id === id) ?? shown?.findings[id], [own, shown]);

  const where = useCallback((finding: Finding): string => {
    const target = regionTarget(finding.region, parts);
    if (!target) return finding.status === "absent" ? "" : t("findings.no_place");
    if (target.kind === "picture") return target.part.shape.length === 3 ? t("findings.slice", { n: target.n + 1 }) : "";
    const part = parts.find((one) => one.frame_of_reference === target.frameOfReference && (one.kind === "volume" || one.kind === "series"));
    return part ? t("findings.slice", { n: nearestPlane(acquiredStack(part), target.point).n + 1 }) : "";
  }, [parts, t]);

  const jump = useCallback((id: string) => {
    const target = regionTarget(findingOf(id)?.region, parts);
    if (target?.kind === "point") dispatch({ do: "jump", point: target.point, frameOfReference: target.frameOfReference });
    else if (target) dispatch({ do: "jump_instance", part: target.part, n: target.n, point: target.point });
  }, [findingOf, parts]);

  const choose = useCallback((id: string) => {
    setSelected(id);
    setMode("buttons");
    setTab("findings");
    jump(id);
  }, [jump]);

  const tagOf = useCallback((mark: Mark): string => {
    const voice = mark.voice === "human" ? t("compare.tag.you") : mark.voice === "agreed" ? t("compare.tag.both") : t("compare.tag");
    const p = mark.finding.probability;
    return [voice, p ? probabilityWords(language, p.value) : findingTitle(text, mark.finding)].join(" · ");
  }, [t, text, language]);

  const add = useCallback((concept: Concept, status: Finding["status"], comment = "") => {
    if (!me.data) return;
    const finding = { ...newFinding(crypto.randomUUID(), me.data, concept, status, state.place), comment };
    change({ do: "put", finding });
    setSelected(finding.id);
    setWarned(false);
    dispatch({ do: "place", place: null });
  }, [me.data, state.place, change]);

  const attach = (measure: Measure) => {
    const finding = own.find((one) => one.id === selected);
    if (!finding || !alone) return;
    change({ do: "put", finding: { ...finding, measurements: [...(finding.measurements ?? []), measurementOf(measure)] } });
  };

  // the steps
  const step: Step = alone || stage === "unread" ? "alone" : signed ? "sign"
    : stage === "reconciled" && tab === "report" ? "report" : "compare";

  const attempt = useCallback(async (work: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (problem) {
      setError(problem);
      if (problem instanceof ApiError && problem.status === 412) setReading(await api.reading(uid));
    } finally {
      setBusy(false);
    }
  }, [setReading, uid]);

  const reveal = useCallback(async () => {
    try {
      while (!(await api.reveal(uid))) {
        if (here.current !== uid) return;
        setAwaited(true);
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    } catch (problem) {
      // the own read is stored: what still hides the result is an open first read of the same patient
      throw problem instanceof ApiError && problem.status === 403 ? new Error(t("reveal.waits")) : problem;
    } finally {
      setAwaited(false);
    }
    setReading(await api.reading(uid));
  }, [uid, setReading, t]);
  useEffect(() => {
    here.current = uid;
    return () => {
      here.current = null;
    };
  }, [uid]);

  const commit = useCallback(() => attempt(async () => {
    if (draft.findings.length === 0 && !warned) return setWarned(true);
    const version = await settle();
    await ownText.settle();
    setReading(await api.commit(uid, [...draft.findings], version));
    setSelected(null);
    await reveal();
  }), [attempt, draft.findings, warned, settle, ownText.settle, setReading, uid, reveal]);

  const decide = useCallback((request: DecisionRequest) => attempt(async () => {
    const next = await api.decide(uid, request, reading!.version);
    setReading(next);
    setMode("buttons");
    const left = shown ? machineOrder(shown).filter((id) => next.undecided.includes(id)) : [];
    if (left[0]) choose(left[0]);
  }), [attempt, uid, reading, setReading, shown, choose]);

  const sign = useCallback(() => attempt(async () => {
    await ownText.settle();
    setReading(await api.sign(uid, language, reading!.version));
    refetchStudy();
  }), [attempt, uid, language, reading, ownText.settle, setReading, refetchStudy]);

  const main = useCallback(() => {
    if (!writable || busy) return;
    if (alone) void commit();
    else if (stage === "read_alone") void attempt(reveal);
    else if (stage === "reconciled" && tab !== "report") setTab("report");
    else if (stage === "reconciled" && checks.open > 0) document.querySelector<HTMLElement>(".check:not(.answered) button")?.focus();
    else if (stage === "reconciled") void sign();
  }, [writable, busy, alone, commit, stage, attempt, reveal, tab, sign, checks.open]);

  // keys
  const order = shown && !late ? listOrder(shown) : own.map(({ id }) => id);
  const asked = selected !== null && reading !== undefined && !signed && shown !== null && !late
    && (reading.undecided.includes(selected) || selected in reading.decisions);
  const stripParts = parts;

  const run = (action: Action): void => {
    const views = VIEWS_OF[state.layout];
    const preset = (n: number) => {
      const window = active.stack && presetsOf(active.stack.part)[n - 1];
      if (window) dispatch({ do: "grey", grey: { center: window.center, width: window.width } });
    };
    const series = (by: 1 | -1) => {
      const at = stripParts.findIndex(({ key }) => key === active.stack?.part.key);
      const next = stripParts[at + by];
      if (next) dispatch({ do: "show", part: next });
    };
    const view = (by: 1 | -1) => {
      const to = (state.active + by + views) % views;
      document.querySelector<HTMLElement>(`[data-view="${to}"]`)?.focus();
      dispatch({ do: "activate", view: to });
    };
    const actions: Record<Action, () => void> = {
      "image.up": () => dispatch({ do: "scroll", by: -1 }),
      "image.down": () => dispatch({ do: "scroll", by: 1 }),
      "image.first": () => dispatch({ do: "slice", n: 0 }),
      "image.last": () => dispatch({ do: "slice", n: Infinity }),
      "view.previous": () => view(-1),
      "view.next": () => view(1),
      "series.previous": () => series(-1),
      "series.next": () => series(1),
      "time.previous": () => dispatch({ do: "time", by: -1 }),
      "time.next": () => dispatch({ do: "time", by: 1 }),
      "view.reset": () => dispatch({ do: "reset" }),
      "zoom.in": () => dispatch({ do: "zoom", by: 1.25 }),
      "zoom.out": () => dispatch({ do: "zoom", by: 0.8 }),
      "zoom.fit": () => dispatch({ do: "fit" }),
      "tool.zoom": () => dispatch({ do: "tool", tool: "zoom" }),
      "rotate.right": () => dispatch({ do: "turn", how: "right" }),
      "rotate.left": () => dispatch({ do: "turn", how: "left" }),
      "flip.across": () => dispatch({ do: "turn", how: "across" }),
      "flip.down": () => dispatch({ do: "turn", how: "down" }),
      cine: () => dispatch({ do: "play" }),
      invert: () => dispatch({ do: "invert" }),
      "window.1": () => preset(1), "window.2": () => preset(2), "window.3": () => preset(3),
      "window.4": () => preset(4), "window.5": () => preset(5),
      "layout.1": () => dispatch({ do: "layout", layout: 1 }), "layout.2": () => dispatch({ do: "layout", layout: 2 }),
      "layout.3": () => dispatch({ do: "layout", layout: 3 }), "layout.4": () => dispatch({ do: "layout", layout: 4 }),
      planes: () => dispatch({ do: "planes" }),
      text: () => dispatch({ do: "text" }),
      "tool.length": () => dispatch({ do: "tool", tool: "length" }),
      "tool.ellipse": () => dispatch({ do: "tool", tool: "ellipse" }),
      "finding.add": () => {
        // the next key is the first letter of a finding: the field has to have the focus by then
        flushSync(() => {
          setTab("findings");
          setDrawer(true);
        });
        field.current?.focus();
      },
      "finding.next": () => choose(neighbour(order, selected, 1) ?? selected ?? ""),
      "finding.previous": () => choose(neighbour(order, selected, -1) ?? selected ?? ""),
      "finding.jump": () => {
        if (!selected) return;
        jump(selected);
        if (alone && draft.findings.some(({ id }) => id === selected)) setEditing(selected);
      },
      "finding.remove": () => selected && alone && change({ do: "remove", id: selected }),
      undo: () => alone && change({ do: "undo" }),
      redo: () => alone && change({ do: "redo" }),
      "ai.toggle": () => dispatch({ do: "machine", change: { on: !state.machine.on } }),
      "threshold.down": () => dispatch({ do: "machine", change: { from: Math.max(0, Math.round(20 * state.machine.from - 1) / 20) } }),
      "threshold.up": () => dispatch({ do: "machine", change: { from: Math.min(0.95, Math.round(20 * state.machine.from + 1) / 20) } }),
      accept: () => asked && !busy && void decide({ finding: selected!, choice: "accept", reason: null, comment: "", modified: null }),
      reject: () => asked && setMode("reject"),
      modify: () => asked && setMode("modify"),
      main,
      help: () => setHelp(true),
      leave: () => {
        if (editing) setEditing(null);
        else if (mode !== "buttons") setMode("buttons");
        else if (drawer && innerWidth < 1280) setDrawer(false);
        else if (state.full) dispatch({ do: "full" });
        else if (state.tool !== "window") dispatch({ do: "tool", tool: "window" });
        else go({ page: "worklist" });
      },
    };
    actions[action]();
  };
  const runner = useRef(run);
  runner.current = run;
  const locked = !revealed || late;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
      const action = actionOf(event, isTyping(event.target));
      // Enter and Space belong to the button that has the focus
      const button = event.target instanceof HTMLElement && event.target.closest("button, a, summary");
      if (!action || (button && (action === "finding.jump" || action === "view.reset"))) return;
      if (locked && AFTER_REVEAL.has(action)) return;
      event.preventDefault();
      runner.current(action);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [locked]);

  useEffect(() => {
    if (!state.playing) return undefined;
    const timer = setInterval(() => dispatch({ do: "cine_step" }), FRAME_MS);
    return () => clearInterval(timer);
  }, [state.playing]);

  const pixels = active.stack ? pixelsOf(active.stack.part) : null;
  const nothing = useCallback(() => () => undefined, []);
  const loaded = useSyncExternalStore(pixels?.subscribe ?? nothing, () => pixels?.loaded ?? 0);
  const total = pixels?.slices.length ?? 0;
  const loadedWords = total === 0 ? "" : loaded < total ? t("view.loading", { n: loaded, total }) : total === 1 ? t("view.complete.one") : t("view.complete", { n: total });

  const layout = state.full ? 1 : state.layout;
  const views = state.full ? [state.active] : Array.from({ length: VIEWS_OF[state.layout] }, (_, n) => n);
  const decided = reading && revealed && !late ? Object.keys(reading.decisions).length : null;
  return (
    <div className={`frame${drawer ? " drawer-open" : ""}`}>
      <ReadingHeader study={study} step={step} signed={signed} decided={decided}
        total={decided === null ? 0 : decided + reading!.undecided.length} drawer={drawer} openDrawer={() => setDrawer(!drawer)} />
      <SeriesStrip study={study} active={active.stack?.part.key ?? null}
        shown={new Set(state.views.flatMap((view) => view.stack?.part.key ?? []))} show={(part) => dispatch({ do: "show", part })} />
      <main className={`view layout-${layout}`} id="content">
        {views.map((n) => (
          <PictureView key={n} index={n} state={state} marks={marks} outlines={outlines} map={machineOn ? map : null} parts={parts}
            selected={selected} corner={corner} tagOf={tagOf} dispatch={dispatch} hover={setHovered} />
        ))}
        {machineOn && map && <ColourBar map={map} from={state.machine.from} />}
      </main>
      <SidePanel
        {...{ study, reading, comparison, shown: late ? null : shown, draft, own, alone, late, signed, stage, writable, selected, editing, mode, tab, busy, awaited, error, warned, stated, field, checks }}
        {...{ state, dispatch, where, choose, add, attach, decide, main, change, setTab, setMode, maps, map }}
        text={ownText} vocabulary={vocabulary.data ?? []} edit={setEditing} close={() => setDrawer(false)}
        toState={(id, on) => setStated((before) => new Set(on ? [...before, id] : [...before].filter((one) => one !== id)))}
        showNewer={() => void attempt(reveal)}
        addendum={async (words) => setReading(await api.addendum(uid, words, reading!.version))}
      />
      <StatusBar {...{ state, hovered, reading, dispatch }} loaded={loadedWords} saving={alone ? saving : null} help={() => setHelp(true)} />
      {help && <HelpDialog revealed={!locked} close={() => setHelp(false)} />}
    </div>
  );
}
