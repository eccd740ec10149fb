import type { Key } from "../i18n/catalogue";
import { isKey, number, fixed, useText } from "../i18n/text";
import type { View } from "./engine";
import { planeNormal, planePoint, stackAxis, timeOf, unit, type Plane, type Stack } from "./geometry";
import { directionLetters, opposite } from "./orientation";
import { presetName } from "./presets";
import type { Grey } from "./state";

interface Props {
  readonly stack: Stack;
  readonly n: number;
  readonly plane: Plane;
  readonly grey: Grey | null;
  readonly view: View;
  readonly visible: boolean;
  readonly large: boolean;
  readonly patient: readonly string[];
  readonly series: readonly string[];
  readonly tags: readonly string[];
}

const LETTER_AXES = ["x", "y", "z"] as const;

/** The writing in the corners and the letters at the edges; what limits the picture stays when the rest is hidden. */
export function Corners({ stack, n, plane, grey, view, visible, large, patient, series, tags }: Props) {
  const { t, language } = useText();
  const frame = stack.part.affine !== null;
  const across = unit(plane.u), down = unit(plane.v);
  const normal = planeNormal(plane);
  const axis = normal.map(Math.abs).indexOf(Math.max(...normal.map(Math.abs)));
  const centre = planePoint(plane, (plane.rows - 1) / 2, (plane.columns - 1) / 2);
  const position = frame ? `${LETTER_AXES[axis]} ${fixed(language, centre[axis]!, 1)} mm` : "";
  const step = stack.step === null ? "" : `${number(language, stack.step)} mm`;
  const inTime = stack.slices < stack.count;
  const key = stack.part.kind === "volume" || inTime || stack.axis !== "acquired" ? "view.slice" : "view.frame";
  const named = stackAxis(stack);
  const name = grey && presetName(stack.part, grey);
  const preset = name && isKey(`window.${name}`) ? t(`window.${name}` as Key) : name;
  const time = inTime ? timeOf(stack, n) : n;
  const seconds = stack.part.times_s?.[time];
  return (
    <>
      {tags.length > 0 && <div className="labels">{tags.map((tag) => <span key={tag} className="sim">{tag}</span>)}</div>}
      {frame && (
        <>
          <span className="ori l">{directionLetters(opposite(across))}</span>
          <span className="ori r">{directionLetters(across)}</span>
          <span className="ori t">{directionLetters(opposite(down))}</span>
          <span className="ori d">{directionLetters(down)}</span>
        </>
      )}
      {visible && (
        <>
          {large && <div className="corner tl">{patient.map((line) => <p key={line}>{line}</p>)}</div>}
          <div className={large ? "corner tr" : "corner tl"}>
            {named && <p>{t(`axis.${named}`)}</p>}
            {large && series.map((line) => <p key={line}>{line}</p>)}
          </div>
          <div className="corner bl">
            {stack.slices > 1 && <p>{t(key, { n: n % stack.slices + 1, total: stack.slices })}</p>}
            {inTime && <p>{t("view.phase", { n: time + 1, total: stack.count / stack.slices })}</p>}
            {large && seconds !== undefined && <p>{t("view.time", { s: fixed(language, seconds, 2) })}</p>}
            {large && position && <p>{[position, step].filter(Boolean).join(" · ")}</p>}
            {large && !stack.part.spacing_mm && <p>{t("view.spacing")}</p>}
          </div>
          {large && (
            <div className="corner br">
              {grey && stack.part.channels === 1 && (
                <p>{t(preset ? "view.window.named" : "view.window", {
                  w: number(language, grey.width, grey.width < 20 ? 2 : 0), l: number(language, grey.center, grey.width < 20 ? 2 : 0), name: preset ?? "",
                })}</p>
              )}
              <p>{t("view.zoom", { n: Math.round(view.magnification * 100) })}</p>
            </div>
          )}
        </>
      )}
    </>
  );
}
