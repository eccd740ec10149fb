/** Where the reader is, kept after the # so that one file serves every page. */
import { useSyncExternalStore } from "react";

export type Route =
  | { page: "worklist" } | { page: "follow_up" } | { page: "intake" } | { page: "models"; name?: string } | { page: "study"; uid: string };

export function parseRoute(hash: string): Route {
  const [page, name] = hash.replace(/^#\/?/, "").split("/");
  if (page === "study" && name) return { page, uid: decodeURIComponent(name) };
  if (page === "intake" || page === "follow_up") return { page };
  if (page === "models") return name ? { page, name: decodeURIComponent(name) } : { page };
  return { page: "worklist" };
}

export const href = (route: Route): string => {
  if (route.page === "study") return `#/study/${encodeURIComponent(route.uid)}`;
  if (route.page === "models" && route.name) return `#/models/${encodeURIComponent(route.name)}`;
  return `#/${route.page}`;
};

export const go = (route: Route): void => {
  location.hash = href(route);
};

const subscribe = (listener: () => void): (() => void) => {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
};

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => location.hash));
}
