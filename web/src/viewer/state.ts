/** What the views show and how: one value, changed by actions. Pure. */
import type { Part, Series, Study } from "../api/types";
import {
  acquiredAxis, acquiredStack, atSlice, cutStack, flippedAcross, flippedDown, isVolume, nearestPlane, rotated, STRAIGHT, timeOf,
  type Axis, type Stack, type Turn, type Vec3,
} from "./geometry";

export type Layout = 1 | 2 | 3 | 4;
export type Tool = "window" | "zoom" | "length" | "ellipse";
export interface Grey { readonly center: number; readonly width: number }

export interface ViewState {
  readonly stack: Stack | null;
  readonly n: number;
  readonly turn: Turn;
  readonly grey: Grey | null;
  readonly inverted: boolean;
  /** Counts up to ask the view to fit its picture again. */
  readonly fits: number;
  /** The last zoom asked for by key, and how many there were. */
  readonly zooms: { readonly count: number; readonly by: number };
}

/** A place that the reader clicked. */
export interface Place {
  readonly point: Vec3;
  readonly part: Part;
  readonly axis: Axis;
  readonly n: number;
}

/** A length or an ellipse, drawn between two points of one picture. */
export interface Measure {
  readonly id: string;
  readonly kind: "length" | "ellipse";
  readonly stack: string;
  readonly part: Part;
  readonly n: number;
  readonly from: Vec3;
  readonly to: Vec3;
  readonly statistics: { area: number; mean: number; deviation: number } | null;
}

export interface ViewerState {
  readonly layout: Layout;
  readonly full: boolean;
  readonly active: number;
  readonly views: readonly ViewState[];
  readonly tool: Tool;
  readonly text: boolean;
  readonly place: Place | null;
  readonly measures: readonly Measure[];
  readonly playing: boolean;
  readonly machine: { readonly on: boolean; readonly opacity: number; readonly from: number; readonly map: string | null };
}

export type ViewerAction =
  | { do: "show"; part: Part; view?: number }
  | { do: "scroll"; by: number; view?: number }
  | { do: "slice"; n: number; view?: number }
  | { do: "activate"; view: number }
  | { do: "layout"; layout: Layout }
  | { do: "full" }
  | { do: "planes" }
  | { do: "turn"; how: "right" | "left" | "across" | "down" }
  | { do: "grey"; grey: Grey; view?: number }
  | { do: "invert" }
  | { do: "reset" }
  | { do: "fit" }
  | { do: "tool"; tool: Tool }
  | { do: "text" }
  | { do: "play"; on?: boolean }
  | { do: "time"; by: number; view?: number }
  | { do: "cine_step" }
  | { do: "zoom"; by: number }
  | { do: "place"; place: Place | null }
  | { do: "jump"; point: Vec3; frameOfReference: string }
  | { do: "jump_instance"; part: Part; n: number; point: Vec3 }
  | { do: "measure"; measure: Measure }
  | { do: "unmeasure"; id: string }
  | { do: "machine"; change: Partial<ViewerState["machine"]> };

const EMPTY: ViewState = { stack: null, n: 0, turn: STRAIGHT, grey: null, inverted: false, fits: 0, zooms: { count: 0, by: 1 } };
export const VIEWS_OF: Record<Layout, number> = { 1: 1, 2: 2, 3: 3, 4: 4 };

const middle = (stack: Stack): number => (stack.part.kind === "cine" ? 0 : Math.floor(stack.slices / 2));

function showing(stack: Stack, before: ViewState = EMPTY): ViewState {
  const same = before.stack?.part.key === stack.part.key;
  const grey = same ? before.grey : stack.part.window;
  return { ...EMPTY, stack, n: middle(stack), grey, inverted: same && before.inverted, fits: before.fits, zooms: before.zooms };
}

/** The two patient planes that a volume was not acquired in. */
function otherPlanes(part: Part): Stack[] {
  const own = acquiredAxis(part);
  return (["axial", "coronal", "sagittal"] as const).filter((axis) => axis !== own).map((axis) => cutStack(part, axis));
}

/** The part to begin with: the largest volume, else the first image. */
export function firstPart(series: readonly Series[]): Part | null {
  const parts = series.flatMap((one) => one.parts);
  const size = (part: Part): number => part.shape.reduce((a, b) => a * b, 1);
  const volumes = parts.filter(isVolume);
  if (volumes.length === 0) return parts[0] ?? null;
  return volumes.reduce((best, part) => (size(part) > size(best) ? part : best));
}

export function startViewer(study: Pick<Study, "series">): ViewerState {
  const parts = study.series.flatMap((series) => series.parts);
  const part = firstPart(study.series);
  const stacks = !part ? [] : isVolume(part)
    ? [acquiredStack(part), ...otherPlanes(part)]
    : [part, ...parts.filter((other) => other !== part)].slice(0, 4).map(acquiredStack);
  const layout: Layout = stacks.length >= 4 ? 4 : part && isVolume(part) ? 3 : stacks.length === 2 ? 2 : stacks.length === 3 ? 3 : 1;
  return {
    layout, full: false, active: 0, tool: "window", text: true, place: null, measures: [], playing: false,
    views: Array.from({ length: 4 }, (_, n) => (stacks[n] ? showing(stacks[n]) : EMPTY)),
    machine: { on: true, opacity: 0.45, from: 0.2, map: null },
  };
}

const within = (n: number, stack: Stack): number => Math.min(Math.max(n, 0), stack.count - 1);

/** The same slice some times later, beginning again after the last. */
function atTime(stack: Stack, n: number, by: number): number {
  const times = stack.count / stack.slices;
  return ((((timeOf(stack, n) + by) % times) + times) % times) * stack.slices + (n % stack.slices);
}

function changeView(state: ViewerState, at: number, change: (view: ViewState) => ViewState): ViewerState {
  return { ...state, views: state.views.map((view, n) => (n === at ? change(view) : view)) };
}

/** Views of other planes or of priors go along where they lie in the same frame of reference. */
function scrolled(state: ViewerState, at: number, n: number): ViewerState {
  const view = state.views[at]!;
  if (!view.stack) return state;
  const to = within(n, view.stack);
  if (to === view.n) return state;
  const { stack } = view;
  const moved = stack.step === null ? null : stack.plane(to).origin;
  return {
    ...state,
    views: state.views.map((other, index) => {
      if (index === at) return { ...other, n: to };
      const linked = moved && other.stack && other.stack !== stack && other.stack.axis === stack.axis && stack.axis === "acquired";
      if (!linked || !other.stack) return other;
      const sameFrame = other.stack.part.frame_of_reference === stack.part.frame_of_reference;
      // a prior has its own frame: go along by the same distance
      const by = sameFrame ? null : Math.round(((to - view.n) * (stack.step ?? 1)) / (other.stack.step ?? 1));
      return { ...other, n: atSlice(other.stack, other.n, by === null ? nearestPlane(other.stack, moved).n : other.n % other.stack.slices + by) };
    }),
  };
}

export function viewer(state: ViewerState, action: ViewerAction): ViewerState {
  const active = state.views[state.active]!;
  switch (action.do) {
    case "show": {
      const at = action.view ?? state.active;
      const volume = isVolume(action.part);
      const planes = state.layout === 3 && at === 0 && volume ? otherPlanes(action.part) : [];
      return {
        ...state, place: null,
        views: state.views.map((view, n) =>
          n === at ? showing(acquiredStack(action.part), view) : n > 0 && planes[n - 1] ? showing(planes[n - 1]!, view) : view),
      };
    }
    case "scroll": {
      const at = action.view ?? state.active;
      const { stack, n } = state.views[at]!;
      return stack ? scrolled(state, at, atSlice(stack, n, n % stack.slices + action.by)) : state;
    }
    case "slice":
      return scrolled(state, action.view ?? state.active, action.n);
    case "activate":
      return { ...state, active: Math.min(Math.max(action.view, 0), VIEWS_OF[state.layout] - 1) };
    case "layout":
      return { ...state, layout: action.layout, full: false, active: Math.min(state.active, VIEWS_OF[action.layout] - 1) };
    case "full":
      return { ...state, full: !state.full };
    case "planes": {
      const part = active.stack?.part;
      if (!part || !isVolume(part)) return state;
      const stacks = [acquiredStack(part), ...otherPlanes(part)];
      return {
        ...state, layout: 3, full: false, active: 0,
        views: state.views.map((view, n) => (stacks[n] ? { ...showing(stacks[n], active), n: n === 0 && active.stack?.axis === "acquired" ? active.n : middle(stacks[n]) } : view)),
      };
    }
    case "turn": {
      const how = { right: (t: Turn) => rotated(t, 1), left: (t: Turn) => rotated(t, -1), across: flippedAcross, down: flippedDown }[action.how];
      return changeView(state, state.active, (view) => ({ ...view, turn: how(view.turn) }));
    }
    case "grey": {
      const key = (action.view === undefined ? active : state.views[action.view]!).stack?.part.key;
      // all views of one part share its window
      return { ...state, views: state.views.map((view) => (view.stack && view.stack.part.key === key ? { ...view, grey: action.grey } : view)) };
    }
    case "invert":
      return changeView(state, state.active, (view) => ({ ...view, inverted: !view.inverted }));
    case "reset":
      return changeView(state, state.active, (view) => ({
        ...view, turn: STRAIGHT, inverted: false, grey: view.stack?.part.window ?? null, fits: view.fits + 1,
      }));
    case "fit":
      return changeView(state, state.active, (view) => ({ ...view, fits: view.fits + 1 }));
    case "tool":
      return { ...state, tool: state.tool === action.tool ? "window" : action.tool };
    case "text":
      return { ...state, text: !state.text };
    case "play":
      return { ...state, playing: action.on ?? !state.playing };
    case "time": {
      const at = action.view ?? state.active;
      return changeView(state, at, (view) => (view.stack ? { ...view, n: atTime(view.stack, view.n, action.by) } : view));
    }
    case "cine_step": {
      if (!active.stack) return state;
      if (active.stack.slices < active.stack.count) return viewer(state, { do: "time", by: 1 });
      return scrolled(state, state.active, active.n + 1 < active.stack.count ? active.n + 1 : 0);
    }
    case "zoom":
      return changeView(state, state.active, (view) => ({ ...view, zooms: { count: view.zooms.count + 1, by: action.by } }));
    case "place": {
      const { place } = action;
      if (!place?.part.frame_of_reference || !place.part.affine) return { ...state, place };
      return { ...jump(state, place.point, place.part.frame_of_reference), place };
    }
    case "jump":
      return jump(state, action.point, action.frameOfReference);
    case "jump_instance": {
      const at = state.views.slice(0, VIEWS_OF[state.layout]).findIndex((view) => view.stack?.part.key === action.part.key);
      const shown = at >= 0 ? state : viewer(state, { do: "show", part: action.part, view: 0 });
      return changeView(shown, Math.max(at, 0), (view) => ({ ...view, n: action.n }));
    }
    case "measure":
      return { ...state, measures: [...state.measures.filter((one) => one.id !== action.measure.id), action.measure] };
    case "unmeasure":
      return { ...state, measures: state.measures.filter((one) => one.id !== action.id) };
    case "machine":
      return { ...state, machine: { ...state.machine, ...action.change } };
  }
}

function jump(state: ViewerState, point: Vec3, frameOfReference: string): ViewerState {
  return {
    ...state,
    views: state.views.map((view) =>
      view.stack?.part.frame_of_reference === frameOfReference && view.stack.step !== null
        ? { ...view, n: atSlice(view.stack, view.n, nearestPlane(view.stack, point).n) }
        : view),
  };
}
