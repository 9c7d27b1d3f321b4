/**
 * What one happy order costs: events and bytes of its history, SQL statements by process, CPU time by process. Five
 * transactions, verb by verb over HTTP; ledgers close at once. What the processes do when nothing happens is measured
 * first and told apart: a statement that is sent then too is a poll and no order's, idle CPU time is subtracted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { orderWorkflowId } from '../../domain/workflow-ids.ts';
import { createOrder, driveToProgress, fundedUser, readyUser, untilStatus, verb } from '../support/flows.ts';
import { cpuMs } from './support/processes.ts';
import { type BenchStack, withBenchStack } from './support/stack.ts';
import { BRACKET, type Counts, SHARED, endOf, statementsSince, total } from './support/statements.ts';

const ORDERS = 12;
const IDLE_MS = 4_000;
const WORKER = 'orchestrator-worker';
const API = 'orchestrator-api';

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
    const happy = async (): Promise<string> => {
      const order = await createOrder(api, buyer, seller);
      await driveToProgress(api, order.id);
      await verb(api, order.id, 'deliver', {
        evidence: [{ type: 'URL', value: 'https://example.com/logo.png', note: null }],
      });
      await verb(api, order.id, 'resolution/release');
      await untilStatus(api, order.id, 'CLOSED');
      return order.id;
    };
    // plans, caches, compiled code
    for (let warm = 0; warm < 3; warm += 1) await happy();
    await delay(1_000);
    const idle = await observe(bench, () => delay(IDLE_MS));
    const ids: string[] = [];
    const busy = await observe(bench, async () => {
      for (let order = 0; order < ORDERS; order += 1) ids.push(await happy());
      // wallets book what the last one moved
      await delay(1_000);
    });
    report(await historyOf(bench, ids.at(-1) ?? ''), idle, busy);
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

interface HistorySize {
  readonly events: number;
  /** as the server counts them: what its limits apply to */
  readonly bytes: number;
  /** of the JSON that `temporal workflow show` prints, envelopes included */
  readonly jsonBytes: number;
}

async function historyOf({ temporal }: BenchStack, orderId: string): Promise<HistorySize> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const handle = new Client({ connection, namespace: temporal.namespace }).workflow.getHandle(
      orderWorkflowId(orderId),
    );
    const history = await handle.fetchHistory();
    const bytes = (await handle.describe()).historySize ?? 0;
    const jsonBytes = JSON.stringify(JSON.parse(historyToJSON(history))).length;
    return { events: history.events?.length ?? 0, bytes, jsonBytes };
  } finally {
    await connection.close();
  }
}

function report(history: HistorySize, idle: Window, busy: Window): void {
  const perOrder = (sum: number): number => Math.round((sum / ORDERS) * 10) / 10;
  const own = (counts: Counts, polls: Counts, which: (statement: string) => boolean): number =>
    perOrder(total(counts, (statement) => !polls.has(statement) && which(statement)));
  const isBracket = (statement: string): boolean => BRACKET.test(statement);
  const isShared = (statement: string): boolean => SHARED.test(statement);
  const cpu = Object.fromEntries(
    Object.entries(busy.cpu).map(([name, used]) => [
      name,
      Math.round((used - ((idle.cpu[name] ?? 0) / idle.ms) * busy.ms) / ORDERS),
    ]),
  );
  const result = {
    bench: 'order',
    history_events: history.events,
    history_bytes: history.bytes,
    history_json_bytes: history.jsonBytes,
    worker_statements: own(busy.worker, idle.worker, (statement) => !isBracket(statement) && !isShared(statement)),
    worker_shared_statements: own(busy.worker, idle.worker, isShared),
    worker_begin_commit: own(busy.worker, idle.worker, isBracket),
    api_statements: own(busy.api, idle.api, (statement) => !isBracket(statement)),
    cpu_ms: Object.values(cpu).reduce((sum, ms) => sum + ms, 0),
    cpu_ms_by_process: cpu,
  };
  if (process.argv.includes('--statements')) {
    const list = (counts: Counts) =>
      [...counts]
        .filter(([statement]) => !idle.worker.has(statement) && !idle.api.has(statement))
        .toSorted(([, one], [, other]) => other - one)
        .map(([statement, count]) => `${String(perOrder(count)).padStart(6)}  ${statement.slice(0, 150)}`);
    console.log(['worker:', ...list(busy.worker), 'api:', ...list(busy.api)].join('\n'));
  }
  console.table({
    'history events': { measured: result.history_events, budget: '≤ 150' },
    'history bytes': { measured: result.history_bytes, budget: '≤ 65536' },
    'history bytes as JSON': { measured: result.history_json_bytes, budget: '' },
    'SQL statements of the order, worker': { measured: result.worker_statements, budget: '≤ 45' },
    'SQL of relay, reader, wallets': { measured: result.worker_shared_statements, budget: '' },
    'begin and commit, worker': { measured: result.worker_begin_commit, budget: '' },
    'SQL statements, API': { measured: result.api_statements, budget: '' },
    'CPU ms, all but the sandbox': { measured: result.cpu_ms, budget: '≤ 600' },
    ...Object.fromEntries(Object.entries(cpu).map(([name, ms]) => [`CPU ms, ${name}`, { measured: ms, budget: '' }])),
  });
  console.log(JSON.stringify(result));
}
