/** The values of a part, fetched in slabs, the asked slice first; one copy in memory. */
import { api } from "../api/client";
import type { Part } from "../api/types";
import { pictureCount, type PixelArray } from "./geometry";

const TYPES: Record<string, new (buffer: ArrayBuffer, offset: number, length: number) => PixelArray> = {
  int8: Int8Array, uint8: Uint8Array, bool: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, float32: Float32Array,
};
const SLAB_BYTES = 4 << 20;
/** Above this a part is not kept whole: slabs far from the one looked at are dropped. */
export const KEEP_BYTES = 384 << 20;
const AT_ONCE = 2;

export class PartPixels {
  readonly slices: (PixelArray | undefined)[];
  readonly perSlice: number;
  private readonly width: number;
  private readonly slabSize: number;
  private readonly slabs = new Map<number, Promise<void>>();
  private readonly listeners = new Set<() => void>();
  private readonly stop = new AbortController();
  private readonly kept: number[] = [];
  private waiting: number[] = [];
  private running = 0;
  failed: Error | null = null;

  constructor(readonly part: Part) {
    const make = TYPES[part.dtype];
    if (!make) throw new Error(`values of type ${part.dtype} can't be shown`);
    const [rows, columns] = part.shape.slice(-2) as [number, number];
    this.perSlice = rows * columns * part.channels;
    this.width = part.dtype.endsWith("32") ? 4 : part.dtype.endsWith("16") ? 2 : 1;
    const count = pictureCount(part);
    this.slices = new Array<PixelArray | undefined>(count).fill(undefined);
    this.slabSize = Math.max(1, Math.min(count, Math.floor(SLAB_BYTES / (this.perSlice * this.width))));
  }

  get bytes(): number {
    return this.perSlice * this.width * this.slices.length;
  }

  get loaded(): number {
    let n = 0;
    for (const slice of this.slices) if (slice) n += 1;
    return n;
  }

  get complete(): boolean {
    return this.loaded === this.slices.length;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** One slice, alone and at once if it is not here yet. */
  async slice(n: number): Promise<PixelArray> {
    const here = this.slices[n];
    if (here) return here;
    const slab = this.slabs.get(Math.floor(n / this.slabSize));
    if (slab) await slab;
    else await this.fetch(n, 1);
    return this.slices[n] ?? this.slice(n);
  }

  /** Fetch everything, the slabs around slice n first; a part too large to keep is fetched around n only. */
  async load(n: number): Promise<void> {
    const slabs = Math.ceil(this.slices.length / this.slabSize);
    const centre = Math.floor(n / this.slabSize);
    const order = Array.from({ length: slabs }, (_, s) => s).sort((a, b) => Math.abs(a - centre) - Math.abs(b - centre));
    const most = this.bytes > KEEP_BYTES ? Math.floor(KEEP_BYTES / 2 / (this.slabSize * this.perSlice * this.width)) : slabs;
    this.waiting = order.slice(0, Math.max(1, most)).filter((s) => !this.slabs.has(s));
    await Promise.all(Array.from({ length: AT_ONCE - this.running }, () => this.work()));
  }

  dispose(): void {
    this.stop.abort();
    this.listeners.clear();
    this.slices.fill(undefined);
  }

  private async work(): Promise<void> {
    this.running += 1;
    try {
      for (let s = this.waiting.shift(); s !== undefined; s = this.waiting.shift()) {
        const first = s * this.slabSize;
        const slab = this.fetch(first, Math.min(this.slabSize, this.slices.length - first));
        this.slabs.set(s, slab);
        this.keep(s);
        await slab;
      }
    } catch (error) {
      if (!this.stop.signal.aborted) this.fail(error as Error);
    } finally {
      this.running -= 1;
    }
  }

  private keep(slab: number): void {
    this.kept.push(slab);
    const most = Math.max(2, Math.floor(KEEP_BYTES / (this.slabSize * this.perSlice * this.width)));
    while (this.kept.length > most) {
      const old = this.kept.shift()!;
      this.slabs.delete(old);
      this.slices.fill(undefined, old * this.slabSize, Math.min((old + 1) * this.slabSize, this.slices.length));
    }
  }

  private fail(error: Error): void {
    this.failed = error;
    this.slabs.clear();
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }

  private async fetch(first: number, count: number): Promise<void> {
    const join = this.part.frames.includes("?") ? "&" : "?";
    const buffer = await api.bytes(`${this.part.frames}${join}first=${first}&count=${count}`, this.stop.signal);
    const expected = count * this.perSlice * this.width;
    if (buffer.byteLength !== expected) {
      throw new Error(`slices ${first} to ${first + count - 1}: ${buffer.byteLength} bytes came, ${expected} were expected`);
    }
    for (let n = 0; n < count; n++) {
      this.slices[first + n] ??= new TYPES[this.part.dtype]!(buffer, n * this.perSlice * this.width, this.perSlice);
    }
    this.failed = null;
    this.tell();
  }
}

const opened = new Map<string, PartPixels>();

/** The values of a part, shared by all views of it. */
export function pixelsOf(part: Part): PartPixels {
  let found = opened.get(part.frames);
  if (!found) opened.set(part.frames, (found = new PartPixels(part)));
  return found;
}

/** Forget all values; done when a study is left. */
export function forgetPixels(): void {
  for (const pixels of opened.values()) pixels.dispose();
  opened.clear();
}
