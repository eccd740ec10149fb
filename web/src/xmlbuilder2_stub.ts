/** Stands in for xmlbuilder2, which vtk.js imports for files that this page never reads. */
export const create = (): never => {
  throw new Error("XML polydata is not read here");
};
export const convert = create;
export const fragment = create;
export default { create, convert, fragment };
