/** Outlines of regions on a picture. Pure. */

/** A line from one pixel corner to another, as (row, column) pairs; pixel centres are whole numbers. */
export type Edge = readonly [number, number, number, number];

/** The borders between pixels that are in the region and pixels that are not, straight runs joined. */
export function regionEdges(pixels: Uint8Array, rows: number, columns: number, threshold = 1): Edge[] {
  const inside = (r: number, c: number): boolean =>
    r >= 0 && r < rows && c >= 0 && c < columns && pixels[r * columns + c]! >= threshold;
  const edges: Edge[] = [];
  for (let r = 0; r <= rows; r++) {
    for (let c = 0, start = -1; c <= columns; c++) {
      const border = c < columns && inside(r - 1, c) !== inside(r, c);
      if (border && start < 0) start = c;
      if (!border && start >= 0) {
        edges.push([r - 0.5, start - 0.5, r - 0.5, c - 0.5]);
        start = -1;
      }
    }
  }
  for (let c = 0; c <= columns; c++) {
    for (let r = 0, start = -1; r <= rows; r++) {
      const border = r < rows && inside(r, c - 1) !== inside(r, c);
      if (border && start < 0) start = r;
      if (!border && start >= 0) {
        edges.push([start - 0.5, c - 0.5, r - 0.5, c - 0.5]);
        start = -1;
      }
    }
  }
  return edges;
}
