/**
 * Cornerstone3D behind one door: each picture of a stack is an image of its own, made here from the part's
 * values with the geometry that it is drawn by. Cuts and turns are images too, so there is one path for all.
 */
import * as cornerstone from "@cornerstonejs/core";
import type { Plane, Point2, Stack, Turn, Vec3 } from "./geometry";
import {
  affineOf, norm, planePoint, STRAIGHT, turnedPixels, turnedPlane, unit,
} from "./geometry";
import { pixelsOf } from "./pixels";
import { cut } from "./reformat";

const ENGINE = "coread";
const SCHEME = "coread";
/** Pictures made from the part's values can be made again; this much of them is kept. */
const PICTURE_BYTES = 192 << 20;

interface Picture {
  readonly stack: Stack;
  readonly n: number;
  readonly turn: Turn;
}

// the types of the next viewports have gaps; what is used of them stands here
interface NextViewport {
  readonly id: string;
  setDisplaySets(...entries: { displaySetId: string; options?: object }[]): Promise<void>;
  setDisplaySetPresentation(id: string, presentation: object): void;
  setImageIdIndex(n: number): Promise<string>;
  getCurrentImageId(): string | undefined;
  worldToCanvas(point: Vec3): [number, number];
  canvasToWorld(point: Point2): [number, number, number];
  getZoom(): number;
  setZoom(zoom: number, at?: Point2): void;
  getPan(): [number, number];
  setPan(pan: Point2): void;
  resetViewState(options?: object): boolean;
  resize(): void;
  render(): void;
}
interface DisplaySets {
  add(id: string, set: { kind: "planar"; imageIds: string[]; initialImageIdIndex: number }): void;
  remove(id: string): void;
}

const stacks = new Map<string, Stack>();
let engine: cornerstone.RenderingEngine | null = null;
let backend: "cpu" | "gpu" = "cpu";

const turnName = (turn: Turn): string => `${turn.quarters}${turn.flipped ? "f" : ""}`;
const imageId = (stack: Stack, n: number, turn: Turn): string =>
  `${SCHEME}:${encodeURIComponent(stack.id)}:${turnName(turn)}:${n}`;

function pictureOf(id: string): Picture | undefined {
  const [scheme, name, turn, n] = id.split(":");
  const stack = scheme === SCHEME ? stacks.get(decodeURIComponent(name!)) : undefined;
  if (!stack) return undefined;
  return {
    stack, n: Number(n),
    turn: { quarters: Number(turn![0]) as Turn["quarters"], flipped: turn!.endsWith("f") },
  };
}

/** Start the engine once: the GPU where there is a real one, else the CPU, which is faster than a software GPU. */
export function startEngine(): "cpu" | "gpu" {
  if (engine) return backend;
  const wanted = new URLSearchParams(location.search).get("backend");
  const gl = cornerstone.getRenderingCapabilities() as { webgl?: boolean; softwareRasterizer?: boolean };
  const slow = !gl.webgl || Boolean(gl.softwareRasterizer);
  backend = wanted === "gpu" || wanted === "cpu" ? wanted : slow ? "cpu" : "gpu";
  cornerstone.init({
    rendering: { useCPURendering: backend === "cpu", planar: { renderBackend: backend } },
  } as unknown as Parameters<typeof cornerstone.init>[0]);
  cornerstone.cache.setMaxCacheSize(PICTURE_BYTES);
  cornerstone.imageLoader.registerImageLoader(SCHEME, ((id: string) => ({ promise: makeImage(id) })) as never);
  cornerstone.metaData.addProvider(provideMetadata, 10_000);
  engine = new cornerstone.RenderingEngine(ENGINE);
  return backend;
}

/** The values of a picture as it is drawn. */
export async function pictureValues(stack: Stack, n: number, turn: Turn = STRAIGHT) {
  const pixels = pixelsOf(stack.part);
  const plane = stack.plane(n);
  if (stack.axis === "acquired") {
    return turnedPixels(await pixels.slice(n), plane, turn, stack.part.channels);
  }
  const [, rows, columns] = stack.part.shape as [number, number, number];
  const any = await pixels.slice(Math.floor(pixels.slices.length / 2));
  const make = (length: number) => new (any.constructor as new (n: number) => typeof any)(length);
  // outside of the grid there is nothing: the darkest value that can lie in a window
  const outside = stack.part.unit === "HU" ? Math.max(-32768, -10_000) : 0;
  return turnedPixels(cut(pixels.slices, rows, columns, affineOf(stack.part.affine!), plane, outside, make), plane, turn);
}

async function makeImage(id: string): Promise<unknown> {
  const picture = pictureOf(id);
  if (!picture) throw new Error(`no stack has the picture ${id}`);
  const { stack, n, turn } = picture;
  const plane = turnedPlane(stack.plane(n), turn);
  let values = await pictureValues(stack, n, turn);
  let channels = stack.part.channels;
  if (channels === 3) {
    const rgba = new Uint8Array((values.length / 3) * 4).fill(255);
    for (let p = 0, q = 0; p < values.length; p += 3, q += 4) rgba.set([values[p]!, values[p + 1]!, values[p + 2]!], q);
    values = rgba;
    channels = 4;
  }
  let low = Infinity, high = -Infinity;
  for (let p = 0; p < values.length; p++) {
    const value = values[p]!;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const window = stack.part.window ?? { center: (low + high) / 2, width: Math.max(high - low, 1) };
  const color = stack.part.channels > 1;
  return {
    imageId: id, minPixelValue: low, maxPixelValue: high, slope: 1, intercept: 0,
    windowCenter: color ? 127.5 : window.center, windowWidth: color ? 255 : window.width,
    voiLUTFunction: "LINEAR", getPixelData: () => values,
    rows: plane.rows, columns: plane.columns, height: plane.rows, width: plane.columns,
    color, rgba: color, numberOfComponents: channels, invert: false,
    columnPixelSpacing: norm(plane.u), rowPixelSpacing: norm(plane.v),
    photometricInterpretation: color ? "RGB" : "MONOCHROME2",
    sizeInBytes: values.byteLength, dataType: values.constructor.name,
    isPreScaled: true, preScale: { enabled: true, scaled: true, scalingParameters: { rescaleSlope: 1, rescaleIntercept: 0 } },
    voxelManager: cornerstone.utilities.VoxelManager.createImageVoxelManager({
      width: plane.columns, height: plane.rows, numberOfComponents: channels, scalarData: values as never,
    }),
    getCanvas: () => document.createElement("canvas"),
  };
}

function provideMetadata(type: string, id: unknown): unknown {
  if (typeof id !== "string" || !id.startsWith(`${SCHEME}:`)) return undefined;
  const picture = pictureOf(id);
  if (!picture) return undefined;
  const { stack } = picture;
  const plane = turnedPlane(stack.plane(picture.n), picture.turn);
  const row = unit(plane.u), column = unit(plane.v);
  switch (type) {
    case "imagePlaneModule":
      return {
        frameOfReferenceUID: stack.part.frame_of_reference ?? stack.part.key,
        rows: plane.rows, columns: plane.columns,
        rowCosines: row, columnCosines: column, imageOrientationPatient: [...row, ...column],
        imagePositionPatient: [...plane.origin],
        columnPixelSpacing: norm(plane.u), rowPixelSpacing: norm(plane.v),
        pixelSpacing: [norm(plane.v), norm(plane.u)], sliceThickness: stack.step ?? 1,
      };
    case "imagePixelModule":
      return {
        bitsAllocated: 16, bitsStored: 16, highBit: 15, pixelRepresentation: 1,
        samplesPerPixel: stack.part.channels,
        photometricInterpretation: stack.part.channels > 1 ? "RGB" : "MONOCHROME2",
      };
    case "generalSeriesModule":
      return { modality: stack.part.unit === "HU" ? "CT" : "OT", seriesInstanceUID: stack.part.key };
    case "voiLutModule":
      return stack.part.window
        ? { windowCenter: [stack.part.window.center], windowWidth: [stack.part.window.width] }
        : undefined;
    case "modalityLutModule":
      return { rescaleSlope: 1, rescaleIntercept: 0 };
    default:
      return undefined;
  }
}

let viewports = 0;
let resizing: number | null = null;
const open = new Set<View>();
let passes = 0;

/** Resize in the next frame and, since a frame of the engine may have come between, once more after it. */
function resizeAll(): void {
  passes = 2;
  resizeNext();
}

function resizeNext(): void {
  resizing ??= requestAnimationFrame(() => {
    resizing = null;
    // the engine's own resize: a viewport's alone leaves the GPU's canvas stretched
    engine?.resize(true, true);
    // the engine's is left half done while a frame of its own is pending: places then follow the old size
    if (backend === "gpu") for (const view of open) view.measure();
    if (--passes > 0) resizeNext();
  });
}

/** One drawing surface; the element belongs to it from the constructor to `destroy`. */
export class View {
  private readonly viewport: NextViewport;
  private readonly sets: DisplaySets;
  private stack: Stack | null = null;
  private turn: Turn = STRAIGHT;
  private wanted = 0;
  private shown: string | null = null;
  private request = 0;
  private window: { center: number; width: number } | null = null;
  private inverted = false;

  constructor(readonly element: HTMLDivElement, drawn: () => void) {
    startEngine();
    const viewportId = `view-${viewports++}`;
    engine!.enableElement({
      viewportId, element, type: cornerstone.Enums.ViewportType.PLANAR_NEXT,
    } as Parameters<cornerstone.RenderingEngine["enableElement"]>[0]);
    this.viewport = engine!.getViewport(viewportId) as unknown as NextViewport;
    this.sets = cornerstone.utilities.genericViewportDisplaySetMetadataProvider as unknown as DisplaySets;
    element.addEventListener(cornerstone.Enums.Events.IMAGE_RENDERED, drawn);
    open.add(this);
  }

  /** Show picture n of a stack, turned; resolves when it is on the screen's canvas. */
  async show(stack: Stack, n: number, turn: Turn): Promise<void> {
    const request = ++this.request;
    this.wanted = n;
    // values that don't come are told here: the engine would only leave a rejection that nobody hears
    if (stack.axis === "acquired") await pixelsOf(stack.part).slice(n);
    if (request !== this.request) return;
    const turned = this.turn.quarters !== turn.quarters || this.turn.flipped !== turn.flipped;
    if (this.stack !== stack || turned) {
      const keepsView = this.stack === stack;
      const zoom = keepsView && this.shown ? this.viewport.getZoom() : null;
      stacks.set(stack.id, stack);
      const id = `${this.viewport.id}/${stack.id}/${turnName(turn)}`;
      const imageIds = Array.from({ length: stack.count }, (_, index) => imageId(stack, index, turn));
      await cornerstone.imageLoader.loadAndCacheImage(imageIds[n]!);
      if (request !== this.request) return;
      this.sets.add(id, { kind: "planar", imageIds, initialImageIdIndex: n });
      await this.viewport.setDisplaySets({ displaySetId: id });
      if (this.shown && this.shown !== id) this.sets.remove(this.shown);
      [this.stack, this.turn, this.shown] = [stack, turn, id];
      this.viewport.resetViewState();
      if (zoom !== null) this.viewport.setZoom(zoom);
      this.present();
      if (this.wanted !== n) await this.viewport.setImageIdIndex(this.wanted);
    } else {
      await cornerstone.imageLoader.loadAndCacheImage(imageId(stack, n, turn));
      if (request !== this.request) return;
      await this.viewport.setImageIdIndex(n);
    }
    this.viewport.render();
  }

  /** The plane of the picture that is drawn now, in the order of its pixels on the screen. */
  get plane(): Plane | null {
    const picture = this.shown && pictureOf(this.viewport.getCurrentImageId() ?? "");
    return picture ? turnedPlane(picture.stack.plane(picture.n), picture.turn) : null;
  }

  setWindow(window: { center: number; width: number } | null, inverted: boolean): void {
    if (this.window === window && this.inverted === inverted) return;
    [this.window, this.inverted] = [window, inverted];
    if (this.shown) {
      this.present();
      this.viewport.render();
    }
  }

  private present(): void {
    const { window } = this;
    this.viewport.setDisplaySetPresentation(this.shown!, {
      invert: this.inverted,
      ...(window && this.stack!.part.channels === 1
        ? { voiRange: { lower: window.center - window.width / 2, upper: window.center + window.width / 2 } }
        : {}),
    });
  }

  worldToCanvas(point: Vec3): Point2 {
    return this.viewport.worldToCanvas(point);
  }

  canvasToWorld(point: Point2): Vec3 {
    return this.viewport.canvasToWorld(point);
  }

  get ready(): boolean {
    return this.shown !== null;
  }

  /** Screen pixels for one pixel of the picture. */
  get magnification(): number {
    const plane = this.plane;
    if (!plane) return 1;
    const a = this.worldToCanvas(plane.origin), b = this.worldToCanvas(planePoint(plane, 0, 1));
    return Math.hypot(b[0] - a[0], b[1] - a[1]);
  }

  zoom(factor: number, at?: Point2): void {
    if (!this.ready) return;
    this.viewport.setZoom(Math.min(Math.max(this.viewport.getZoom() * factor, 0.2), 40), at);
    this.viewport.render();
  }

  pan(across: number, down: number): void {
    if (!this.ready) return;
    const [x, y] = this.viewport.getPan();
    this.viewport.setPan([x + across, y + down]);
    this.viewport.render();
  }

  fit(): void {
    if (!this.ready) return;
    this.viewport.resetViewState();
    this.viewport.render();
  }

  /** Fit the drawing surfaces to their elements; the picture keeps its place and size. */
  resize(): void {
    resizeAll();
  }

  /** Take the size of the element anew, and draw. */
  measure(): void {
    this.viewport.resize();
    if (this.ready) this.viewport.render();
  }

  destroy(): void {
    open.delete(this);
    if (this.shown) this.sets.remove(this.shown);
    engine?.disableElement(this.viewport.id);
  }
}

/** Forget all pictures; done when a study is left. */
export function forgetPictures(): void {
  cornerstone.cache.purgeCache();
  stacks.clear();
}

