/** `orchestrator dev`: the whole stack until Ctrl-C. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { lastingFolder, temporaryFolder } from './stack/folders.ts';
import { autoPorts, defaultPorts, type Ports } from './stack/ports.ts';
import type { ProcessEvent } from './stack/processes.ts';
import { writePrivate } from './stack/secrets.ts';
import { startStack, type Stack } from './stack/stack.ts';
import { temporalSource } from './stack/temporal-source.ts';
import { stopOnSignal } from './shutdown.ts';
import { walkthrough } from './walkthrough.ts';

export interface DevOptions {
  /** temporary data that goes at the end */
  readonly fresh?: boolean;
  readonly ports: 'default' | 'auto';
  /** JSON for programs, written when the stack serves and whenever a process changes */
  readonly readyFile?: string;
}

/** Ledgers as fast as a patient human can follow. */
const LEDGER_MS = 1_000;

export async function runDev(options: DevOptions): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  // everything that can be missing or taken is looked at before anything starts
  const temporal = await temporalSource({ env: process.env, fresh: options.fresh === true, ui: true, say });
  const needed: (keyof Ports)[] = ['api', 'health', 'postgres', 'sandbox'];
  if ('binary' in temporal) needed.push('temporal', 'temporalUi');
  const ports = options.ports === 'auto' ? await autoPorts() : await defaultPorts(needed);
  const folder = options.fresh === true ? await temporaryFolder('orchestrator-dev-') : await lastingFolder();
  const environmentFile = join(folder, 'environment');

  let current: { stack: Stack; apiKey: string } | undefined;
  // one after the other, so that the last state is the one that stays
  let published = Promise.resolve();
  const publish = (): void => {
    const { readyFile } = options;
    if (current === undefined || readyFile === undefined) return;
    const ready = readyText(current);
    published = published
      .then(() => writePrivate(readyFile, ready))
      .catch((error: unknown) => say(`cannot write ${readyFile}: ${String(error)}`));
  };
  const onEvent = (event: ProcessEvent): void => {
    say(eventLine(event, environmentFile));
    publish();
  };
  const stop = async (): Promise<void> => {
    await current?.stack.stop();
    current = undefined;
    await published;
    if (options.readyFile !== undefined) await rm(options.readyFile, { force: true });
    if (options.fresh === true) await rm(folder, { recursive: true, force: true });
  };
  const started = startStack({ dataDirectory: folder, ports, temporal, ledgerMs: LEDGER_MS, onEvent });
  // Ctrl-C during the start waits for it to be through: half a stack cannot be stopped in order
  stopOnSignal(async () => {
    await started.catch(() => undefined);
    await stop();
  });
  const stack = await started;
  const apiKey = await marketplaceKey(stack, folder);
  current = { stack, apiKey };
  await writePrivate(environmentFile, environmentText(stack.env));
  for (const line of welcome(stack, apiKey, { folder, environmentFile })) say(line);
  publish();
}

/** Key of the marketplace that the walk-through uses; made once per data folder. */
async function marketplaceKey(stack: Stack, folder: string): Promise<string> {
  const path = join(folder, 'marketplace-key');
  const kept = await readFile(path, 'utf8').catch(() => null);
  if (kept !== null) {
    const me = await fetch(`${stack.apiUrl}/auth/me`, { headers: { authorization: `Bearer ${kept}` } });
    if (me.ok) return kept;
  }
  const response = await fetch(`${stack.apiUrl}/marketplaces`, {
    method: 'POST',
    headers: { authorization: `Bearer ${stack.platformKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Development' }),
  });
  if (!response.ok) throw new Error(`POST /marketplaces answered ${response.status}: ${await response.text()}`);
  const { api_key: apiKey } = (await response.json()) as { api_key: string };
  await writePrivate(path, apiKey);
  return apiKey;
}

function readyText({ stack, apiKey }: { stack: Stack; apiKey: string }): string {
  const ready = {
    api_url: stack.apiUrl,
    api_key: apiKey,
    platform_key: stack.platformKey,
    temporal_address: stack.env['TEMPORAL_ADDRESS'],
    temporal_namespace: stack.env['TEMPORAL_NAMESPACE'],
    temporal_ui_url: stack.temporalUiUrl,
    sandbox_url: stack.sandboxUrl,
    database_url: stack.env['DATABASE_URL'],
    direct_url: stack.directUrl,
    env: stack.env,
    pids: stack.pids(),
  };
  return `${JSON.stringify(ready, null, 2)}\n`;
}

function environmentText(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `${name}="${value}"\n`)
    .join('');
}

function eventLine(event: ProcessEvent, environmentFile: string): string {
  if (event.kind === 'restarted') return `${event.name} runs again (pid ${event.pid})`;
  const ended = `${event.name} ended (${event.how})`;
  const isService = event.name === 'api' || event.name === 'worker';
  return isService
    ? `${ended}; start it again with: npm run ${event.name} -- --env-file ${environmentFile}`
    : `${ended}, starting it again`;
}

function welcome(stack: Stack, apiKey: string, at: { folder: string; environmentFile: string }): string[] {
  const bold = (text: string): string => styleText('bold', text);
  return [
    '',
    `${bold('API')}          ${stack.apiUrl}/docs`,
    `${bold('Temporal UI')}  ${stack.temporalUiUrl ?? `(of ${stack.env['TEMPORAL_ADDRESS']})`}`,
    `${bold('Sandbox')}      ${stack.sandboxUrl}/horizon`,
    `${bold('Logs, data')}   ${at.folder}`,
    `${bold('Commands')}     npm run orchestrator -- why ID --env-file ${at.environmentFile}`,
    '',
    bold('A first order, line by line:'),
    ...walkthrough({ apiUrl: stack.apiUrl, apiKey }).flatMap(({ title, command }) => [
      styleText('dim', `# ${title}`),
      command,
    ]),
    '',
    'Ctrl-C stops everything.',
  ];
}
