/** Maps and segments of the models on a picture: their 8-bit values fetched once, cut like the images. */
import { api } from "../api/client";
import type { Part } from "../api/types";
import { affineOf, timeOf, turnedPixels, turnedPlane, type Plane, type Stack, type Turn } from "./geometry";
import { cutNearest } from "./reformat";

const fetched = new Map<string, Promise<Uint8Array>>();

export function overlayData(address: string): Promise<Uint8Array> {
  let data = fetched.get(address);
  if (!data) {
    data = api.bytes(address).then((buffer) => new Uint8Array(buffer));
    data.catch(() => fetched.delete(address));
    fetched.set(address, data);
  }
  return data;
}

export const forgetOverlays = (): void => fetched.clear();

/**
 * The 8-bit values of a part's grid at the pixels of a turned picture; null where the two don't meet. Pure.
 * What belongs to one time of a series is on the pictures of that time alone.
 */
export function overlayPicture(
  data: Uint8Array, part: Part, stack: Stack, n: number, turn: Turn, time: number | null = null,
): { pixels: Uint8Array; plane: Plane } | null {
  if (time !== null && stack.part.key === part.key && timeOf(stack, n) !== time) return null;
  const straight = stack.plane(n);
  const plane = turnedPlane(straight, turn);
  if (stack.part.key === part.key && stack.axis === "acquired") {
    const size = straight.rows * straight.columns;
    const slice = n % stack.slices;
    const pixels = data.length === size ? data : data.subarray(slice * size, (slice + 1) * size);
    return pixels.length === size ? { pixels: turnedPixels(pixels, straight, turn), plane } : null;
  }
  if (!part.affine || !stack.part.affine || part.frame_of_reference !== stack.part.frame_of_reference) return null;
  const shape = [1, ...part.shape].slice(-3) as [number, number, number];
  return { pixels: cutNearest(data, shape, affineOf(part.affine), plane), plane };
}
