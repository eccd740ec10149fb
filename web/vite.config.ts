import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const page = fileURLToPath(new URL("./src/", import.meta.url));

export default defineConfig({
  base: "./",
  plugins: [react()],
  worker: { format: "es" },
  // vtk.js reads XML through xmlbuilder2, which extends node's `events` and stops the page; XML is never read here
  resolve: { alias: { xmlbuilder2: `${page}xmlbuilder2_stub.ts` } },
  build: {
    target: "es2022",
    outDir: "../src/coread/server/static",
    emptyOutDir: true,
    chunkSizeWarningLimit: 4000,
  },
  // `npm run dev` beside a running `coread serve`
  server: {
    proxy: Object.fromEntries(
      ["/api", "/dicom-web"].map((path) => [path, process.env.COREAD_SERVER ?? "http://127.0.0.1:8080"]),
    ),
  },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
