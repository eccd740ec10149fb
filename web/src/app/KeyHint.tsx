import { shownKey, type Action } from "./keys";

/** The key of an action, shown on its button. */
export function KeyHint({ action }: { action: Action }) {
  return <kbd aria-hidden="true">{shownKey(action)}</kbd>;
}
