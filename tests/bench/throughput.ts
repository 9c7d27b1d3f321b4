/** Orders per second from creation to release, all at once, when ledgers close as soon as something is pending. */
import { setTimeout as delay } from 'node:timers/promises';
import { createOrder, fundedUser, getOrder, readyUser, verb } from '../support/flows.ts';
import type { Call } from '../support/stack.ts';
import { cpuMs } from './support/processes.ts';
import { percentile, rounded } from './support/percentile.ts';
import { type BenchStack, withBenchStack } from './support/stack.ts';

const MARKETPLACES = 4;
const BUYERS = 10;
const ORDERS = 40;
const LOOK_MS = 500;

interface Buyer {
  readonly api: Call;
  readonly buyer: { readonly id: string };
  readonly seller: { readonly id: string };
}

/** `npm run bench -- throughput` */
export async function run(): Promise<void> {
  await withBenchStack({ logStatements: false }, async (bench) => {
    const buyers = await buyersOf(bench);
    const first = buyers[0];
    if (first === undefined) throw new Error('there are no buyers');
    // plans, caches, compiled code
    await live(first);
    const [before, begun] = [await cpuMs(bench.pids()), performance.now()];
    const seconds = await Promise.all(
      Array.from({ length: ORDERS }, (_, index) => live(buyers[index % buyers.length] ?? first)),
    );
    const elapsed = (performance.now() - begun) / 1_000;
    const after = await cpuMs(bench.pids());
    const cpu = Object.fromEntries(
      Object.entries(after).map(([name, used]) => [name, Math.round((used - (before[name] ?? 0)) / ORDERS)]),
    );
    const result = {
      bench: 'throughput',
      orders: ORDERS,
      seconds: rounded(elapsed),
      orders_per_second: rounded(ORDERS / elapsed, 2),
      order_p50_s: rounded(percentile(seconds, 0.5)),
      order_p95_s: rounded(percentile(seconds, 0.95)),
      cpu_ms_per_order: cpu,
    };
    const { cpu_ms_per_order: _cpu, bench: _bench, ...figures } = result;
    console.table(figures);
    console.log(JSON.stringify(result));
  });
}

async function buyersOf(bench: BenchStack): Promise<Buyer[]> {
  const markets = await Promise.all(Array.from({ length: MARKETPLACES }, () => bench.createMarketplace()));
  const sellers = await Promise.all(markets.map((api) => readyUser(api)));
  const placed = Array.from({ length: BUYERS }, (_, index) => index % MARKETPLACES);
  return Promise.all(
    placed.map(async (place) => {
      const [api, seller] = [markets[place], sellers[place]];
      if (api === undefined || seller === undefined) throw new Error('there is no such marketplace');
      return { api, seller, buyer: await fundedUser(api, '10000') };
    }),
  );
}

/** One order from its creation to its release. @returns seconds */
async function live({ api, buyer, seller }: Buyer): Promise<number> {
  const begun = performance.now();
  const { id } = await createOrder(api, buyer, seller, { auto: true });
  await reached(api, id, 'IN_PROGRESS');
  await verb(api, id, 'deliver');
  await verb(api, id, 'resolution/release');
  await reached(api, id, 'CLOSED');
  return (performance.now() - begun) / 1_000;
}

/** Looks so seldom that looking is no part of what is measured. */
async function reached(api: Call, id: string, status: string): Promise<void> {
  while ((await getOrder(api, id)).status !== status) await delay(LOOK_MS);
}
