/**
 * `npm run demo:failed-escrow`: a provider answers the funding of an escrow with a forged envelope. Nothing is signed, the
 * order is parked; it is explained, exported, replayed, repaired, and in the end the seller is paid. Exit 0 only then.
 */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkCoherence, coherenceOptions } from '../coherence.ts';
import { type ApiClient, createApiClient } from '../client.ts';
import { stopOnSignal } from '../shutdown.ts';
import { temporaryFolder } from '../stack/folders.ts';
import { autoPorts } from '../stack/ports.ts';
import { type Stack, startStack } from '../stack/stack.ts';
import { temporalSource } from '../stack/temporal-source.ts';
import { renderWhy } from '../why/render.ts';
import type { Why } from '../why/report.ts';
import { until } from './plays.ts';

export interface FailedEscrowOptions {
  readonly json?: boolean;
}

/** What the end of it says; `as_expected` decides about the exit code. */
interface Outcome {
  readonly order_id: string;
  readonly explained: boolean;
  readonly replayed: boolean;
  readonly status: string;
  readonly final_status: string | null;
  readonly coherent: boolean;
  readonly as_expected: boolean;
}

interface OrderView {
  readonly id: string;
  readonly status: string;
  readonly final_status: string | null;
  readonly operation: { readonly verb: string; readonly status: string } | null;
  readonly attention: { readonly id: string; readonly reason: string } | null;
}

const LEDGER_MS = 500;
const WAIT_S = 60;
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
/** The provider builds a funding of twice the amount. */
const FORGERY = { name: 'xdr_wrong_amount', match: { path: 'fund-escrow' } };

/** Ends the process. */
export async function runFailedEscrow(options: FailedEscrowOptions): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const temporal = await temporalSource({ env: process.env, fresh: true, ui: false, say });
  const [folder, ports] = await Promise.all([temporaryFolder('orchestrator-demo-'), autoPorts()]);
  let stack: Stack | null = null;
  const cleanUp = async (): Promise<void> => {
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  };
  stopOnSignal(cleanUp);
  let asExpected = false;
  try {
    say('Postgres, Temporal, sandbox, worker and API');
    stack = await startStack({ dataDirectory: folder, ports, temporal, ledgerMs: LEDGER_MS });
    const outcome = await play(stack, folder, say);
    asExpected = outcome.as_expected;
    if (options.json === true) say(JSON.stringify(outcome));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
  await cleanUp();
  process.exit(asExpected ? 0 : 1);
}

async function play(stack: Stack, folder: string, say: (line: string) => void): Promise<Outcome> {
  const api = await openMarket(stack);
  const read = (): Promise<OrderView> => api.get<OrderView>(`/orders/${id}`);
  const id = await escrowedOrder(api);
  say(`${id}: the escrow is deployed`);
  await control(stack, 'POST', '/control/faults', FORGERY);
  await api.post(`/orders/${id}/escrow/fund`, {});
  const parked = await until(`${id} is parked`, async () => {
    const order = await read();
    return order.operation?.status === 'PARKED' ? order : null;
  });
  say(`${id}: funding is parked, ${parked.attention?.reason ?? 'without a reason'}`);

  const orchestrator = commandOf(stack);
  const why = JSON.parse(await orchestrator('why', id, '--json')) as Why;
  say(`\n$ orchestrator why ${id}\n${renderWhy(why).join('\n')}\n`);
  const file = join(folder, 'history.json');
  await orchestrator('export', id, '--output', file);
  say(`$ orchestrator export ${id}\n$ orchestrator replay --from-file history.json`);
  say(await orchestrator('replay', '--from-file', file));
  const replayed = isReplayed(await orchestrator('replay', id, '--json'));

  await control(stack, 'DELETE', '/control/faults');
  say('the provider is itself again\n');
  say(`$ orchestrator retry ${id}\n${await orchestrator('retry', id, '--note', 'the provider is itself again')}`);
  await until(`${id} is funded`, async () => ((await read()).status === 'IN_PROGRESS' ? true : null));
  for (const verb of ['deliver', 'resolution/release']) await api.post(`/orders/${id}/${verb}`, {}, WAIT_S);
  const { status, final_status: final } = await until(`${id} is closed`, async () => {
    const order = await read();
    return order.status === 'CLOSED' ? order : null;
  });
  say(`${id}: ${status} ${final ?? ''}`);
  const coherent = await booksAgree(stack);
  say(`coherent: ${coherent ? 'yes' : 'no'}`);
  const explained = isExplained(why);
  const asExpected = explained && replayed && coherent && final === 'RELEASED';
  return { order_id: id, explained, replayed, status, final_status: final, coherent, as_expected: asExpected };
}

async function openMarket(stack: Stack): Promise<ApiClient> {
  const platform = createApiClient({ apiUrl: stack.apiUrl, apiKey: stack.platformKey });
  const { api_key: apiKey } = await platform.post<{ api_key: string }>('/marketplaces', { name: 'Corner shop' });
  return createApiClient({ apiUrl: stack.apiUrl, apiKey });
}

/** An order whose escrow waits for its funding. */
async function escrowedOrder(api: ApiClient): Promise<string> {
  type User = { readonly id: string; readonly wallet: { readonly status: string } };
  const [buyer, seller] = await Promise.all(
    ['buyer', 'seller'].map((ref) => api.post<User>('/users', { external_user_id: ref })),
  );
  if (buyer === undefined || seller === undefined) throw new Error('there are no users');
  for (const { id } of [buyer, seller])
    await until('the wallets are ready', async () =>
      (await api.get<User>(`/users/${id}`)).wallet.status === 'READY' ? true : null,
    );
  await api.post('/sandbox/deposits', { user_id: buyer.id, amount: '100' });
  await until('the deposit is credited', async () =>
    (await api.get<{ total: string }>(`/users/${buyer.id}/balance`)).total === '0' ? null : true,
  );
  const order = { buyer_id: buyer.id, seller_id: seller.id, amount: '25', title: 'Logo' };
  const { id } = await api.post<OrderView>('/orders', order);
  for (const verb of ['reserve', 'escrow']) await api.post(`/orders/${id}/${verb}`, {}, WAIT_S);
  await until('the escrow is deployed', async () =>
    (await api.get<OrderView>(`/orders/${id}`)).status === 'ESCROW_FUNDING' ? true : null,
  );
  return id;
}

/** The command as an operator runs it: a process of its own, with the environment of the services. */
function commandOf(stack: Stack) {
  const env = { ...process.env, ...stack.env };
  return async (...args: readonly string[]): Promise<string> => {
    const command = ['--disable-warning=ExperimentalWarning', MAIN, ...args];
    return (await promisify(execFile)(process.execPath, command, { env, maxBuffer: 64 * 1024 * 1024 })).stdout;
  };
}

async function control(stack: Stack, method: string, path: string, body?: unknown): Promise<void> {
  const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
  const { ok, status } = await fetch(`${stack.sandboxUrl}${path}`, init);
  if (!ok) throw new Error(`${method} ${path} answered ${status}`);
}

/** It names the reason, what differed, and the way out. */
const isExplained = ({ attention, differences, repairs }: Why): boolean =>
  attention[0]?.reason === 'ENVELOPE_REJECTED' && differences.length > 0 && repairs.length > 0;

/** The code of this checkout does the same again, and the step that failed is marked. */
function isReplayed(output: string): boolean {
  const { fits, steps } = JSON.parse(output) as {
    readonly fits: boolean;
    readonly steps: readonly { readonly name: string; readonly failing: boolean }[];
  };
  return fits && steps.some(({ name, failing }) => failing && name === 'prepareTransaction');
}

async function booksAgree(stack: Stack): Promise<boolean> {
  return until('the books agree with the chain', async () => {
    const { coherent, violations } = await checkCoherence(coherenceOptions(stack.env));
    return coherent || violations.length > 0 ? { coherent } : null;
  }).then(({ coherent }) => coherent);
}
