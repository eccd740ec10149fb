import { useQueries, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { api } from "../api/client";
import type { Reading } from "../api/types";
import { Brand } from "../app/Brand";
import { Problem } from "../app/Problem";
import { href } from "../app/route";
import { useText } from "../i18n/text";
import { forgetPictures } from "../viewer/engine";
import { forgetOverlays } from "../viewer/overlays";
import { forgetPainted } from "../viewer/paint";
import { forgetPixels } from "../viewer/pixels";
import { ReadingPage } from "./ReadingPage";

/** Fetches a study and the reader's reading of it; whoever opens it to read is assigned. */
export function StudyPage({ uid }: { uid: string }) {
  const { t } = useText();
  const study = useQuery({ queryKey: ["study", uid], queryFn: () => api.study(uid), staleTime: Infinity });
  const [reading, setReading] = useState<Reading | undefined>();
  const [error, setError] = useState<unknown>(null);
  const asked = useRef(false);
  const brief = study.data?.reading;

  useEffect(() => {
    if (!brief || asked.current) return;
    asked.current = true;
    const read = brief.state === "unread" ? (brief.can_read ? api.open(uid) : null) : api.reading(uid);
    read?.then(setReading, setError);
  }, [brief, uid]);

  useEffect(() => () => {
    forgetPictures();
    forgetPixels();
    forgetOverlays();
    forgetPainted();
  }, []);

  // the parts of earlier studies are asked for when this one is there
  const priors = useQueries({
    queries: (study.data && reading ? study.data.priors : []).map((prior) => ({
      queryKey: ["study", prior.study], queryFn: () => api.study(prior.study), staleTime: Infinity,
    })),
    combine: (results) => results.flatMap(({ data }) => data ?? []),
  });
  const withPriors = useMemo(() => study.data && {
    ...study.data,
    priors: study.data.priors.map((prior) => ({ ...prior, series: priors.find((one) => one.study === prior.study)?.series ?? prior.series })),
  }, [study.data, priors]);

  const failed = study.error ?? error;
  if (failed) {
    return (
      <main className="lonely">
        <Problem error={failed} retry={() => { setError(null); asked.current = false; void study.refetch(); }} />
        <a href={href({ page: "worklist" })}>{t("app.worklist")}</a>
      </main>
    );
  }
  if (!withPriors) return <main className="lonely"><Brand /><p role="status">{t("app.loading")}</p></main>;
  return <ReadingPage study={withPriors} reading={reading} setReading={setReading} refetchStudy={() => void study.refetch()} />;
}
