import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client";
import { Problem } from "../app/Problem";
import { number, useText } from "../i18n/text";

/** The files of a signed read, to take along. */
export function Exports({ uid, version }: { uid: string; version: number }) {
  const { t, language } = useText();
  const files = useQuery({ queryKey: ["exports", uid, version], queryFn: () => api.exports(uid) });
  return (
    <section className="exports">
      <h2>{t("exports.title")}</h2>
      {files.isPending && <p className="muted" role="status">{t("app.loading")}</p>}
      {files.error && <Problem error={files.error} retry={() => void files.refetch()} />}
      {files.data?.length === 0 && <p className="muted">{t("exports.none")}</p>}
      <ul>
        {files.data?.map((file) => (
          <li key={file.name}>
            <a href={api.exportUrl(uid, file.name)} download={file.name}>{file.name}</a>
            <span className="muted">{number(language, file.bytes / 1024, 0)} kB</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
