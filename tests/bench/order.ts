/**
 * What an order costs, by kind: events and bytes of its histories, SQL statements by process and module, CPU time by
 * process. Verb by verb over HTTP; ledgers close at once. What the processes do when nothing happens is measured first and
 * told apart: a statement that is sent then too is a poll and no order's, idle CPU time is subtracted. In the end, on
 * ledgers of five seconds: how many of them an order waits for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { disputeWorkflowId, orderWorkflowId } from '../../domain/workflow-ids.ts';
import { createOrder, fundedUser, readyUser, verb } from '../support/flows.ts';
import { type Lived, type Parties, fiveMilestones, happy, release, splitDispute } from './support/lives.ts';
import { cpuMs } from './support/processes.ts';
import { type BenchStack, withBenchStack } from './support/stack.ts';
import { BRACKET, type Counts, SHARED, endOf, moduleFinder, statementsSince, total } from './support/statements.ts';

/** How many of each are lived one after the other. */
const KINDS = {
  happy: { live: happy, orders: 12, warm: 3 },
  'five milestones': { live: fiveMilestones, orders: 3, warm: 1 },
  'split dispute': { live: splitDispute, orders: 6, warm: 1 },
} as const;
type Kind = keyof typeof KINDS;

const IDLE_MS = 4_000;
const LEDGER_MS = 5_000;
const LEDGER_ORDERS = 3;
const WORKER = 'orchestrator-worker';
const API = 'orchestrator-api';
const BUDGET: Readonly<Record<string, string>> = {
  'history events': '≤ 150',
  'history bytes': '≤ 65536',
  'SQL statements, worker': '≤ 45',
  'CPU ms, all but the sandbox': '≤ 600',
};

interface Window {
  readonly ms: number;
  readonly cpu: Readonly<Record<string, number>>;
  readonly worker: Counts;
  readonly api: Counts;
}

/** `npm run bench -- order [--statements]`; with the option every statement is listed. */
export async function run(): Promise<void> {
  await withBenchStack({ logStatements: true }, async (bench) => {
    const api = await bench.createMarketplace();
    const [buyer, seller] = await Promise.all([fundedUser(api, '100000'), readyUser(api)]);
    const parties: Parties = { api, buyer, seller };
    // plans, caches, compiled code
    for (const { live, warm } of Object.values(KINDS)) for (let n = 0; n < warm; n += 1) await live(parties);
    await delay(1_000);
    const idle = await observe(bench, () => delay(IDLE_MS));
    const figures: Record<string, Figures> = {};
    const moduleOf = await moduleFinder();
    if (process.argv.includes('--statements')) list('worker, idle, per second:', idle.worker, idle.ms / 1_000);
    for (const [kind, { live, orders }] of Object.entries(KINDS)) {
      const lives: Lived[] = [];
      const busy = await observe(bench, async () => {
        for (let order = 0; order < orders; order += 1) lives.push(await live(parties));
        // wallets book what the last one moved
        await delay(1_000);
      });
      figures[kind] = { ...(await historyOf(bench, lives.at(-1))), ...costOf(idle, busy, orders) };
      listStatements(kind as Kind, idle, busy, orders, moduleOf);
    }
    report(figures, idle, await ledgersWaited(bench));
  });
}

async function observe(bench: BenchStack, work: () => Promise<void>): Promise<Window> {
  const [before, start, begun] = [await cpuMs(bench.pids()), await endOf(bench.postgresLog), performance.now()];
  await work();
  const ms = performance.now() - begun;
  const after = await cpuMs(bench.pids());
  const cpu = Object.fromEntries(Object.entries(after).map(([name, used]) => [name, used - (before[name] ?? 0)]));
  return {
    ms,
    cpu,
    worker: await statementsSince(bench.postgresLog, start, WORKER),
    api: await statementsSince(bench.postgresLog, start, API),
  };
}

type Figures = Readonly<Record<string, number>>;

/** Of all workflows of an order: bytes as the server counts them (its limits apply to those), and of the JSON. */
async function historyOf({ temporal }: BenchStack, lived: Lived | undefined): Promise<Figures> {
  if (lived === undefined) throw new Error('nothing was lived');
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const { workflow } = new Client({ connection, namespace: temporal.namespace });
    const ids = [
      orderWorkflowId(lived.orderId),
      ...(lived.disputeId === null ? [] : [disputeWorkflowId(lived.disputeId)]),
    ];
    let [events, bytes, json] = [0, 0, 0];
    for (const id of ids) {
      const handle = workflow.getHandle(id);
      const history = await handle.fetchHistory();
      events += history.events?.length ?? 0;
      bytes += (await handle.describe()).historySize ?? 0;
      json += JSON.stringify(JSON.parse(historyToJSON(history))).length;
    }
    return { 'history events': events, 'history bytes': bytes, 'history bytes as JSON': json };
  } finally {
    await connection.close();
  }
}

const per = (sum: number, orders: number): number => Math.round((sum / orders) * 10) / 10;
const isOwn = (polls: Counts, statement: string): boolean =>
  !polls.has(statement) && !BRACKET.test(statement) && !SHARED.test(statement);

function costOf(idle: Window, busy: Window, orders: number): Figures {
  const own = (counts: Counts, polls: Counts, which: (statement: string) => boolean): number =>
    per(
      total(counts, (statement) => !polls.has(statement) && which(statement)),
      orders,
    );
  const cpu = Object.entries(busy.cpu).map(([name, used]): [string, number] => [
    `CPU ms, ${name}`,
    Math.round((used - ((idle.cpu[name] ?? 0) / idle.ms) * busy.ms) / orders),
  ]);
  return {
    'SQL statements, worker': per(
      total(busy.worker, (statement) => isOwn(idle.worker, statement)),
      orders,
    ),
    'SQL of relay, reader, wallets': own(busy.worker, idle.worker, (statement) => SHARED.test(statement)),
    'begin and commit, worker': own(busy.worker, idle.worker, (statement) => BRACKET.test(statement)),
    'SQL statements, API': own(busy.api, idle.api, (statement) => !BRACKET.test(statement)),
    'CPU ms, all but the sandbox': cpu.reduce((sum, [, ms]) => sum + ms, 0),
    ...Object.fromEntries(cpu),
  };
}

/** Which modules the worker's statements of an order were written in; with `--statements` the statements too. */
function listStatements(
  kind: Kind,
  idle: Window,
  busy: Window,
  orders: number,
  moduleOf: (statement: string) => string,
): void {
  const own = [...busy.worker].filter(([statement]) => isOwn(idle.worker, statement));
  const byModule = new Map<string, number>();
  for (const [statement, count] of own) {
    const module = moduleOf(statement);
    byModule.set(module, (byModule.get(module) ?? 0) + count);
  }
  list(`${kind}: statements of the worker per order, by module`, byModule, orders);
  if (!process.argv.includes('--statements')) return;
  const ofApi = [...busy.api].filter(([statement]) => isOwn(idle.api, statement));
  const shared = [...busy.worker].filter(([statement]) => !idle.worker.has(statement) && SHARED.test(statement));
  const parts = { worker: own, 'relay, reader, wallets': shared, API: ofApi };
  for (const [name, counts] of Object.entries(parts))
    list(
      `${name}:`,
      counts.map(([statement, count]) => [`${moduleOf(statement)}: ${statement.slice(0, 150)}`, count]),
      orders,
    );
}

/** Most frequent first. */
function list(title: string, counts: Iterable<readonly [string, number]>, by: number): void {
  const sorted = [...counts].toSorted(([, one], [, other]) => other - one);
  console.log([title, ...sorted.map(([name, count]) => `${String(per(count, by)).padStart(6)}  ${name}`)].join('\n'));
}

interface LedgersWaited {
  readonly deployToClosed: number[];
  readonly fundToClosed: number[];
}

/** Happy orders at the same time, each with wallets of its own: none waits for another's account. */
async function ledgersWaited(bench: BenchStack): Promise<LedgersWaited> {
  const api = await bench.createMarketplace();
  const users = await Promise.all(
    Array.from({ length: LEDGER_ORDERS }, () => Promise.all([fundedUser(api, '100'), readyUser(api)])),
  );
  await bench.control('POST', '/control/clock', { mode: 'interval', ledger_ms: LEDGER_MS });
  const latest = async (): Promise<number> =>
    ((await bench.control('GET', '/control/clock')) as { latest_ledger: number }).latest_ledger;
  const waited: LedgersWaited = { deployToClosed: [], fundToClosed: [] };
  await Promise.all(
    users.map(async ([buyer, seller]) => {
      const { id } = await createOrder(api, buyer, seller);
      await verb(api, id, 'reserve');
      const deployed = await latest();
      await verb(api, id, 'escrow');
      const funded = await latest();
      await verb(api, id, 'escrow/fund');
      await verb(api, id, 'deliver');
      await release(api, id);
      const closed = await latest();
      waited.deployToClosed.push(closed - deployed);
      waited.fundToClosed.push(closed - funded);
    }),
  );
  return waited;
}

function report(kinds: Readonly<Record<string, Figures>>, idle: Window, waited: LedgersWaited): void {
  const names = Object.keys(Object.values(kinds)[0] ?? {});
  const row = (name: string): Record<string, number | string> => ({
    ...Object.fromEntries(Object.entries(kinds).map(([kind, figures]) => [kind, figures[name] ?? 0])),
    'budget, happy': BUDGET[name] ?? '',
  });
  console.table(Object.fromEntries(names.map((name) => [name, row(name)])));
  const perSecond = (sum: number): number => per(sum * 1_000, idle.ms);
  const polls = {
    statements_worker: perSecond(total(idle.worker)),
    statements_api: perSecond(total(idle.api)),
    cpu_ms: Object.fromEntries(Object.entries(idle.cpu).map(([name, used]) => [name, perSecond(used)])),
  };
  console.log(`idle, per second: ${JSON.stringify(polls)}`);
  console.log(
    `ledgers of ${LEDGER_MS / 1_000} s waited for, deploy to closed (5 transactions, budget ≤ 6): ` +
      `${waited.deployToClosed.join(', ')}; fund to closed (4): ${waited.fundToClosed.join(', ')}`,
  );
  console.log(JSON.stringify({ bench: 'order', kinds, idle_per_second: polls, ledgers: waited }));
}
