// Bundles the scripts and style sheets that templates name as `built/...` into static/built/, with those
// that a view serves, and what the scripts weigh. `make assets` runs this; `--report` prints every part
// of every script.

import { readdir, readFile, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const TEMPLATES = join(ROOT, "templates");
const SOURCES = { ".js": join(ROOT, "static", "js"), ".css": join(ROOT, "static", "css") };
const BUILT = join(ROOT, "static", "built");
// Named by no template: a service worker has an address of its own.
const SERVED = ["line/worker.js"];
const LIMIT_KB = { script: 200, all: 350 };

/** The scripts and sheets that templates ask for, as paths below static/js and static/css. */
async function asked() {
  const found = new Set(SERVED);
  for (const file of await readdir(TEMPLATES, { recursive: true })) {
    if (file.endsWith(".html")) {
      const text = await readFile(join(TEMPLATES, file), "utf8");
      for (const [, name] of text.matchAll(/{%\s*static ['"]built\/([\w/-]+\.(?:js|css))['"]\s*%}/g)) {
        found.add(name);
      }
    }
  }
  return [...found].sort();
}

/** Scripts that others import only when they need them, as paths below static/js. */
const later = new Set();

/**
 * What is imported on demand becomes a script of its own, at the same place below static/built.
 * @param {string} name of the script that imports
 */
function onDemand(name) {
  return {
    name: "on-demand",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) => {
        if (kind !== "dynamic-import") {
          return null;
        }
        const imported = relative(SOURCES[".js"], join(resolveDir, path));
        later.add(imported);
        return { path: `./${relative(dirname(name), imported)}`, external: true };
      });
    },
  };
}

/**
 * Each script by itself: what two of them share comes twice, but without one more round trip.
 * @param {string} name
 */
function bundled(name) {
  return build({
    absWorkingDir: ROOT,
    entryPoints: [{ in: join(SOURCES[extname(name)], name), out: name.replace(/\.\w+$/, "") }],
    outdir: BUILT,
    bundle: true,
    minify: true,
    format: "esm",
    plugins: [onDemand(name)],
    target: ["es2022"],
    sourcemap: true,
    legalComments: "linked",
    metafile: true,
    write: false,
    logLevel: "warning",
  });
}

/** Replace whole files only: a page that is being served never gets half a script. */
async function put(path, contents) {
  await mkdir(dirname(path), { recursive: true });
  const unfinished = `${path}.${process.pid}.part`;
  await writeFile(unfinished, contents);
  await rename(unfinished, path);
}

/** What a script weighs as it goes over the wire, and each part's share of that. */
function weighed(contents, output) {
  const gzip = gzipSync(contents, { level: 9 }).length / 1024;
  const share = gzip / contents.length;
  const sizes = parts(output).map(([part, bytes]) => [part, round(bytes * share)]);
  return { gzip_kb: round(gzip), parts: Object.fromEntries(sizes) };
}

/** Minified bytes of each package or own folder in one script. */
function parts(output) {
  const sizes = new Map();
  for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
    const inPackage = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    const part = inPackage ? inPackage[1] : dirname(input);
    sizes.set(part, (sizes.get(part) ?? 0) + bytesInOutput);
  }
  return [...sizes].sort((one, other) => other[1] - one[1]);
}

const results = await Promise.all((await asked()).map(bundled));
results.push(...(await Promise.all([...later].sort().map(bundled))));
const isReport = process.argv.includes("--report");
const kept = new Set(["weights.json"]);
/** @type {Record<string, {gzip_kb: number, parts: Record<string, number>}>} */
const weights = {};
for (const { outputFiles, metafile } of results) {
  for (const file of outputFiles) {
    const name = relative(BUILT, file.path);
    kept.add(name);
    await put(file.path, file.contents);
    if (name.endsWith(".js")) {
      weights[name] = weighed(file.contents, metafile.outputs[relative(ROOT, file.path)]);
    }
  }
}
await put(join(BUILT, "weights.json"), `${JSON.stringify(weights, null, 2)}\n`);
for (const file of await readdir(BUILT, { recursive: true, withFileTypes: true })) {
  const path = join(file.parentPath ?? file.path, file.name);
  if (file.isFile() && !kept.has(relative(BUILT, path)) && !basename(path).endsWith(".part")) {
    await rm(path, { force: true });
  }
}
tell();

function tell() {
  let all = 0;
  for (const [name, { gzip_kb: gzip, parts: shares }] of Object.entries(weights)) {
    all += gzip;
    if (isReport) {
      console.log(`${name}\t${gzip} kB gzip`);
      Object.entries(shares).forEach(([part, kb]) => console.log(`  ${part}\t${kb} kB`));
    }
    if (gzip > LIMIT_KB.script) {
      fail(`${name} weighs ${gzip} kB gzip; at most ${LIMIT_KB.script} are allowed.`);
    }
  }
  if (all > LIMIT_KB.all) {
    fail(`All scripts weigh ${round(all)} kB gzip; at most ${LIMIT_KB.all} are allowed.`);
  }
}

/** @param {string} sentence */
function fail(sentence) {
  console.error(sentence);
  process.exitCode = 1;
}

/** @param {number} kb */
function round(kb) {
  return Math.round(kb * 10) / 10;
}
