/** `orchestrator demo`: a whole market day over HTTP on a fresh stack, then the books against the chain. */
import { rm } from 'node:fs/promises';
import { Listr, type ListrTask } from 'listr2';
import { checkCoherence, coherenceOptions } from '../coherence.ts';
import { autoPorts } from '../stack/ports.ts';
import { startStack, type Stack } from '../stack/stack.ts';
import { temporalSource } from '../stack/temporal-source.ts';
import { temporaryFolder } from '../stack/folders.ts';
import { stopOnSignal } from '../shutdown.ts';
import { createApiClient, type ApiClient } from '../client.ts';
import { interruptFunding } from './interruption.ts';
import { loadInput, SAMPLE_INPUT, type DemoInput, type DemoMarketplace, type DemoOrder } from './input.ts';
import { playOf, shorten, until, type OrderView, type Play } from './plays.ts';
import { reportLines, type BalanceRow, type OrderResult, type Outcome } from './report.ts';

export interface DemoOptions {
  readonly json?: boolean;
  readonly input?: string;
  /** leave everything running until Ctrl-C */
  readonly keep?: boolean;
}

/** Half a second per ledger: the chain's rhythm stays visible. */
const LEDGER_MS = 500;

interface Market {
  readonly plan: DemoMarketplace;
  api: ApiClient;
  readonly users: Map<string, string>;
}

interface Played {
  readonly market: Market;
  readonly order: DemoOrder;
  id: string | null;
  play: Play | null;
  problem: unknown;
}

interface Run {
  readonly markets: readonly Market[];
  readonly orders: readonly Played[];
  stack: Stack | null;
  workerKilled: boolean;
}

/** Ends the process: 0 when everything came out as it must. */
export async function runDemo(options: DemoOptions): Promise<void> {
  const input = await loadInput(options.input ?? SAMPLE_INPUT);
  const started = performance.now();
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const temporal = await temporalSource({ env: process.env, fresh: true, ui: true, say });
  const [folder, ports] = await Promise.all([temporaryFolder('orchestrator-demo-'), autoPorts()]);
  const run = prepare(input);
  const cleanUp = async (): Promise<void> => {
    await run.stack?.stop();
    await rm(folder, { recursive: true, force: true });
  };
  stopOnSignal(cleanUp);
  const start = async (): Promise<Stack> => {
    run.stack = await startStack({ dataDirectory: folder, ports, temporal, ledgerMs: LEDGER_MS });
    return run.stack;
  };
  let failure: unknown;
  await new Listr(tasksOf(run, start), rendering(options)).run().catch((error: unknown) => {
    failure = error;
  });
  const outcome = await conclude(run, failure, Math.round(performance.now() - started) / 1000);
  for (const line of reportLines(outcome)) say(line);
  if (options.json === true) say(JSON.stringify(outcome.json));
  if (!outcome.asExpected) process.stderr.write(`logs: ${folder}/logs\n`);
  if (options.keep === true && run.stack !== null) return say('Ctrl-C stops everything.');
  await run.stack?.stop();
  if (outcome.asExpected) await rm(folder, { recursive: true, force: true });
  process.exit(outcome.asExpected ? 0 : 1);
}

function prepare(input: DemoInput): Run {
  const markets = input.marketplaces.map((plan) => ({
    plan,
    api: createApiClient({ apiUrl: '', apiKey: '' }),
    users: new Map<string, string>(),
  }));
  const orders = markets.flatMap((market) =>
    market.plan.orders.map((order) => ({ market, order, id: null, play: null, problem: null })),
  );
  return { markets, orders, stack: null, workerKilled: false };
}

/** A live list on a terminal, plain lines elsewhere. */
function rendering(options: DemoOptions) {
  const live = process.stdout.isTTY === true && options.json !== true;
  return { renderer: live ? ('default' as const) : ('simple' as const), rendererOptions: { collapseSubtasks: false } };
}

function tasksOf(run: Run, start: () => Promise<Stack>): ListrTask[] {
  const running = (): Stack => {
    if (run.stack === null) throw new Error('the stack does not run');
    return run.stack;
  };
  return [
    {
      title: 'Postgres, Temporal, sandbox, worker and API',
      task: async (_, task) => {
        const stack = await start();
        task.title = `${task.title}  ${stack.apiUrl}  ${stack.temporalUiUrl ?? ''}`;
      },
    },
    parallel(
      'Users with sponsored wallets',
      run.markets,
      ({ plan }) => plan.name,
      (market) => openMarket(running(), market),
    ),
    parallel(
      'Deposits',
      run.markets.flatMap(depositsOf),
      ({ ref, amount }) => `${ref} pays in ${amount}`,
      (deposit) => payIn(deposit),
    ),
    {
      title: 'Orders',
      task: (_, task) =>
        task.newListr(
          run.orders.map((played) => orderTask(run, running(), played)),
          { concurrent: true, exitOnError: false },
        ),
    },
  ];
}

/** One line per item, all at once; what `work` answers is put behind the title. */
function parallel<T>(
  title: string,
  items: readonly T[],
  name: (item: T) => string,
  work: (item: T) => Promise<string>,
): ListrTask {
  return {
    title,
    task: (_, parent) =>
      parent.newListr(
        items.map((item) => ({
          title: name(item),
          task: async (_context, task) => {
            task.title = `${name(item)}  ${await work(item)}`;
          },
        })),
        { concurrent: true },
      ),
  };
}

async function openMarket(stack: Stack, market: Market): Promise<string> {
  const platform = createApiClient({ apiUrl: stack.apiUrl, apiKey: stack.platformKey });
  const { name, platform_fee_bps: fee, users } = market.plan;
  const { api_key: apiKey } = await platform.post<{ api_key: string }>('/marketplaces', {
    name,
    ...(fee === undefined ? {} : { platform_fee_bps: fee }),
  });
  market.api = createApiClient({ apiUrl: stack.apiUrl, apiKey });
  type User = { id: string; wallet: { status: string } };
  for (const { ref } of users)
    market.users.set(ref, (await market.api.post<User>('/users', { external_user_id: ref })).id);
  for (const [ref, id] of market.users)
    await until(`wallet of ${ref} is ready`, async () =>
      (await market.api.get<User>(`/users/${id}`)).wallet.status === 'READY' ? true : null,
    );
  return `${users.length} wallets ready`;
}

interface Deposit {
  readonly market: Market;
  readonly ref: string;
  readonly amount: string;
}

function depositsOf(market: Market): Deposit[] {
  return market.plan.users.flatMap(({ ref, deposit }) =>
    deposit === undefined ? [] : [{ market, ref, amount: deposit }],
  );
}

async function payIn({ market, ref, amount }: Deposit): Promise<string> {
  const userId = market.users.get(ref);
  const { transaction_hash: hash } = await market.api.post<{ transaction_hash: string }>('/sandbox/deposits', {
    user_id: userId,
    amount,
  });
  await until(`deposit of ${ref} is credited`, async () =>
    (await market.api.get<{ total: string }>(`/users/${userId}/balance`)).total === '0' ? null : true,
  );
  return shorten(hash);
}

function orderTask(run: Run, stack: Stack, played: Played): ListrTask {
  const { order, market } = played;
  const play = playOf({
    api: market.api,
    order,
    users: market.users,
    interruptFunding: async (orderId) => {
      await interruptFunding(stack, orderId, LEDGER_MS);
      run.workerKilled = true;
    },
    onCreated: (id) => {
      played.id = id;
    },
    onRefused: (document) => {
      played.problem = document;
    },
  });
  played.play = play;
  return {
    title: `${order.ref}: ${order.amount} from ${order.buyer} to ${order.seller}`,
    task: (_, parent) =>
      parent.newListr(
        play.steps.map((step) => ({
          title: `${order.ref}: ${step.title}`,
          task: async (_context, task) => {
            task.title = `${task.title}  ${await step.run()}`;
          },
        })),
        // in this order, also where the orders themselves run at once
        { concurrent: false, exitOnError: true },
      ),
  };
}

async function conclude(run: Run, failure: unknown, seconds: number): Promise<Outcome> {
  const { stack } = run;
  const base = {
    failure,
    seconds,
    stack,
    problems: run.orders.flatMap(({ problem }) => (problem === null ? [] : [problem])),
  };
  if (stack === null)
    return {
      ...base,
      orders: [],
      balances: [],
      verification: null,
      asExpected: false,
      json: { coherent: false, orders: [], seconds },
    };
  const orders = await Promise.all(run.orders.map(resultOf));
  const balances = (await Promise.all(run.markets.map(balancesOf))).flat();
  const verification = await settledBooks(stack);
  const killedAsPlanned = run.workerKilled || !run.orders.some(({ order }) => order.kill_worker === true);
  const asExpected =
    failure === undefined &&
    killedAsPlanned &&
    verification.coherent &&
    orders.every(({ as_expected: ok }) => ok) &&
    balances.every(({ difference }) => difference === '0');
  const urls = { api_url: stack.apiUrl, temporal_ui_url: stack.temporalUiUrl };
  const json = {
    coherent: verification.coherent,
    as_expected: asExpected,
    orders,
    balances,
    worker_killed: run.workerKilled,
    ...urls,
    seconds,
  };
  return { ...base, orders, balances, verification, asExpected, json };
}

async function resultOf({ id, order, play, market }: Played): Promise<OrderResult> {
  if (id === null) return { ref: order.ref, id, status: null, final_status: null, as_expected: false };
  const { status, final_status: final } = await market.api.get<OrderView>(`/orders/${id}`);
  const asExpected = status === play?.expected.status && final === play.expected.final_status;
  return { ref: order.ref, id, status, final_status: final, as_expected: asExpected };
}

async function balancesOf({ plan, api, users }: Market): Promise<BalanceRow[]> {
  return Promise.all(
    [...users].map(async ([ref, id]) => {
      const [balance, verify] = await Promise.all([
        api.get<{ available: string; reserved: string; in_escrow: string }>(`/users/${id}/balance`),
        api.get<{ books: string; chain: string; difference: string }>(`/users/${id}/balance/verify`),
      ]);
      const { available, reserved, in_escrow: inEscrow } = balance;
      return {
        marketplace: plan.name,
        user: ref,
        available,
        reserved,
        in_escrow: inEscrow,
        books: verify.books,
        chain: verify.chain,
        difference: verify.difference,
      };
    }),
  );
}

/** The invariants; what is still on its way is waited for. */
async function settledBooks(stack: Stack) {
  const options = coherenceOptions(stack.env);
  let last = await checkCoherence(options);
  await until('the books are settled', async () => {
    if (last.violations.length > 0 || last.unsettled.length === 0) return last;
    last = await checkCoherence(options);
    return null;
  }).catch(() => undefined);
  return last;
}
