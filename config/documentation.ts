/**
 * The table of docs/configuration.md and .env.example, from the schema. `node config/documentation.ts` writes both; a
 * test compares them.
 */
import { writeFile } from 'node:fs/promises';
import { VARIABLES } from './variables.ts';

const NEEDED_BY = { serving: 'API, worker', signing: 'worker of `signing`', migrate: '`migrate`' } as const;

/** docs/configuration.md */
export function configurationPage(): string {
  const rows = Object.entries(VARIABLES).map(([name, { schema, meaning, neededBy, secret }]) => {
    const optional = schema.safeParse(undefined);
    const fallback = optional.success
      ? optional.data === undefined
        ? 'not set'
        : `\`${show(optional.data)}\``
      : 'required';
    return `| \`${name}\` | ${NEEDED_BY[neededBy]} | ${fallback} | ${secret ? 'yes' : ''} | ${meaning} |`;
  });
  return [
    '# Configuration',
    '',
    'Environment variables are read once, at boot; a process that finds some wrong names all of them and does not start.',
    '`npm run dev` and `npm run demo` need none: they start their own Postgres, Temporal and Stellar sandbox and set everything.',
    'Generated from `config/variables.ts` by `node config/documentation.ts`.',
    '',
    '| variable | needed by | default | secret | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    'Further, for the embedded stack of `dev`, `demo` and the tests: `TEMPORAL_ADDRESS` uses that server instead of starting one,',
    '`TEMPORAL_CLI_PATH` names the Temporal CLI, `ORCHESTRATOR_CACHE` the folder where a fetched one is kept (default `~/.cache/orchestrator`).',
    '',
  ].join('\n');
}

/** .env.example */
export function exampleFile(): string {
  const blocks = Object.entries(VARIABLES).map(([name, { meaning, example, neededBy }]) =>
    [`# ${meaning} (${NEEDED_BY[neededBy].replaceAll('`', '')})`, `${name}=${example}`].join('\n'),
  );
  return `${blocks.join('\n\n')}\n`;
}

function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value} stroops`;
  return Array.isArray(value) ? value.join(',') : String(value) || ' ';
}

if (import.meta.main) {
  await writeFile(new URL('../docs/configuration.md', import.meta.url), configurationPage());
  await writeFile(new URL('../.env.example', import.meta.url), exampleFile());
}
