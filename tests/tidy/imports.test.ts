/** The house's doors: which folder may import which, and what workflow code must never see. */
import { posix } from 'node:path';
import { expect, test } from '@jest/globals';
import { sourcesOf, type Source } from './sources.ts';

type Rule = { readonly values: readonly RegExp[]; readonly types?: readonly RegExp[] };

const domain = /^domain\//;
/** Message definitions: names and shapes, no workflow code. */
/** What speaks to workflows: their messages, and the names they are searched by. */
const messages = /^workflows\/(messages|search-attributes)\.ts$/;
/** What the API calls workflows by. */
const facade = /^workflows\/client\.ts$/;
const config = /^config\//;
const EVERYTHING = [/./];

/** The table of docs/architecture.md. `types`: allowed with `import type` only. A folder may always import itself. */
const MAY_IMPORT: Record<string, Rule> = {
  domain: { values: [] },
  workflows: { values: [/^domain\/(?!events\/|resources\/)/], types: [/^activities\//] },
  activities: { values: [domain, /^db\//, /^providers\//, messages], types: [config, /^workflows\//] },
  providers: { values: [domain] },
  db: { values: [domain] },
  api: { values: [domain, /^db\//, config, messages, facade], types: [/^providers\/(errors|payment\/port)\.ts$/] },
  config: { values: [domain] },
  worker: { values: [/^(domain|workflows|activities|providers|db|config)\//] },
  sandbox: { values: [/^domain\/money\.ts$/] },
  sdk: { values: [] },
  cli: { values: EVERYTHING },
  tests: { values: EVERYTHING },
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf({ path, text }: Source): Import[] {
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;'"]*?from\s*'([^']+)'|^import\s+()'([^']+)'|import\(()'([^']+)'\)/gm,
  );
  return [...statements].map((match) => ({
    from: path,
    typeOnly: match[1] !== undefined,
    specifier: match[2] ?? match[4] ?? match[6] ?? '',
  }));
}

async function importsOfFolder(folder: string): Promise<Import[]> {
  return (await sourcesOf(folder)).flatMap(importsOf);
}

test.each(Object.entries(MAY_IMPORT))('%s/ imports only what the table of folders allows', async (folder, rule) => {
  const forbidden = (await importsOfFolder(folder))
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map((found) => ({ ...found, target: posix.join(posix.dirname(found.from), found.specifier) }))
    .filter(({ target, typeOnly }) => {
      if (target.startsWith(`${folder}/`)) return false;
      const allowed = typeOnly ? [...rule.values, ...(rule.types ?? [])] : rule.values;
      return !allowed.some((pattern) => pattern.test(target));
    });
  expect(forbidden.map(({ from, target, typeOnly }) => `${from} imports ${typeOnly ? 'type ' : ''}${target}`)).toEqual(
    [],
  );
});

test('workflow code and the domain reach neither Node nor zod nor the client', async () => {
  const outside = /^(node:|zod|pino|pg$|kysely|@mikro-orm|@stellar)/;
  const code = [...(await importsOfFolder('workflows')), ...(await importsOfFolder('domain'))].filter(
    // the façade runs in the API; schemas of events and resources run where those are written
    ({ from }) => from !== 'workflows/client.ts' && !/^domain\/(events|resources)\//.test(from),
  );
  expect(
    code
      .filter(({ specifier, typeOnly }) => !typeOnly && outside.test(specifier))
      .map(({ from, specifier }) => `${from}: ${specifier}`),
  ).toEqual([]);
});

test('every relative import names its file', async () => {
  const all = (await Promise.all(Object.keys(MAY_IMPORT).map(importsOfFolder))).flat();
  expect(all.length).toBeGreaterThan(100);
  expect(all.filter(({ specifier }) => specifier.startsWith('.') && !/\.(ts|cjs|json)$/.test(specifier))).toEqual([]);
});
