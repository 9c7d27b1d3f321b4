/**
 * How long until `POST /orders` has a durable answer, beside the least that Temporal can do on the same server: an
 * update-with-start of an empty workflow. One caller and sixteen; rounds interleaved so that a busy machine is busy for both.
 */
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { createOrder, readyUser } from '../support/flows.ts';
import { type empty, touchUpdate } from './support/empty.ts';
import { percentile, rounded } from './support/percentile.ts';
import { type BenchStack, withBenchStack } from './support/stack.ts';

const TASK_QUEUE = 'bench-empty';
const ROUNDS = 4;
const SIZES = [
  { callers: 1, calls: 25 },
  { callers: 16, calls: 8 },
];

type Measured = { readonly callers: number; readonly orders: number[]; readonly bare: number[] };

/** `npm run bench -- accept` */
export async function run(): Promise<void> {
  await withBenchStack({ logStatements: false }, async (bench) => {
    const bare = await startBare(bench);
    try {
      const api = await bench.createMarketplace();
      const [buyer, seller] = await Promise.all([readyUser(api), readyUser(api)]);
      report(await compare(() => createOrder(api, buyer, seller), bare.call));
    } finally {
      await bare.stop();
    }
  });
}

async function startBare({ temporal: { address, namespace } }: BenchStack) {
  const script = fileURLToPath(new URL('./support/empty-worker.ts', import.meta.url));
  const worker = fork(script, [address, namespace, TASK_QUEUE]);
  const exited = once(worker, 'exit');
  await Promise.race([once(worker, 'message'), exited.then(() => Promise.reject(new Error('the bare worker ended')))]);
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  return {
    call: () =>
      client.workflow.executeUpdateWithStart(touchUpdate, {
        startWorkflowOperation: new WithStartWorkflowOperation<typeof empty>('empty', {
          workflowId: `empty/${randomUUID()}`,
          taskQueue: TASK_QUEUE,
          workflowIdConflictPolicy: 'USE_EXISTING',
          args: [],
        }),
      }),
    stop: async () => {
      await connection.close();
      worker.kill('SIGTERM');
      await exited;
    },
  };
}

async function compare(order: () => Promise<unknown>, bare: () => Promise<unknown>): Promise<Measured[]> {
  const measured: Measured[] = SIZES.map(({ callers }) => ({ callers, orders: [], bare: [] }));
  // round 0 warms connections, caches and compiled code
  for (let round = 0; round <= ROUNDS; round += 1)
    for (const [index, { callers, calls }] of SIZES.entries()) {
      const [ofOrders, ofBare] = [await latencies(order, callers, calls), await latencies(bare, callers, calls)];
      if (round === 0) continue;
      measured[index]?.orders.push(...ofOrders);
      measured[index]?.bare.push(...ofBare);
    }
  return measured;
}

/** Milliseconds of each call; every caller calls again as soon as it is answered. */
async function latencies(call: () => Promise<unknown>, callers: number, calls: number): Promise<number[]> {
  const caller = async (): Promise<number[]> => {
    const taken: number[] = [];
    for (let n = 0; n < calls; n += 1) {
      const begun = performance.now();
      await call();
      taken.push(performance.now() - begun);
    }
    return taken;
  };
  return (await Promise.all(Array.from({ length: callers }, caller))).flat();
}

function report(measured: readonly Measured[]): void {
  const rows = measured.map(({ callers, orders, bare }) => ({
    callers,
    orders_p50_ms: rounded(percentile(orders, 0.5)),
    orders_p95_ms: rounded(percentile(orders, 0.95)),
    bare_p50_ms: rounded(percentile(bare, 0.5)),
    bare_p95_ms: rounded(percentile(bare, 0.95)),
    ratio_p50: rounded(percentile(orders, 0.5) / percentile(bare, 0.5), 2),
  }));
  console.table(rows);
  console.log('budget: ratio_p50 ≤ 2');
  console.log(JSON.stringify({ bench: 'accept', rows }));
}
