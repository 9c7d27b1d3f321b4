/**
 * Posting through the balance service against the same statements by raw `pg`, and a hot account against accounts of
 * one's own. Postgres with fsync on, eight callers, rounds interleaved so that a noisy machine is noisy to all.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../cli/stack/ports.ts';
import { type PostgresOptions, createDatabase, postgresUrl, preparePostgres } from '../../cli/stack/postgres.ts';
import { createSupervisor } from '../../cli/stack/processes.ts';
import { contractOutflow, deposit } from '../../db/ledger/balances.ts';
import type { Sql } from '../../db/ledger/post.ts';
import { type Orm, migrate, openOrm } from '../../db/orm.ts';

const CALLERS = 8;
const POSTS_PER_CALLER = 150;
const ROUNDS = 4;
const ASSET = 'USDC';

/** One post by caller `caller`; `id` is unique. */
type Post = (caller: number, id: string) => Promise<unknown>;

const chain = { transactionHash: 'ab'.repeat(32), ledgerSeq: 1 };

/** Deposits: two accounts with counters each, every caller its own. */
const byService =
  (orm: Orm): Post =>
  (caller, id) =>
    orm.em.fork().transactional((em) =>
      deposit(
        em.getKysely(),
        { workflowId: `wallet/${caller}`, step: `deposit ${id}` },
        {
          marketplaceId: 'mkt_1',
          asset: ASSET,
          ...chain,
          userId: `usr_${caller}`,
          walletId: `wal_${caller}`,
          amount: 10n,
          resource: { type: 'movement', id },
        },
      ),
    );

/** The statements that the service sends, by hand; `begin` and `commit` around them or not. */
const byHand =
  (pool: pg.Pool, transaction: boolean): Post =>
  async (caller, id) => {
    const transfers = JSON.stringify([
      {
        kind: 'POSTED',
        code: 'DEPOSIT',
        resource: { type: 'movement', id },
        debit: { kind: 'custody.wallet', owner: `wal_${caller}`, asset: ASSET, hot: false },
        credit: { kind: 'user.funds', owner: `usr_${caller}`, asset: ASSET, hot: false },
        amount: '10',
        hash: chain.transactionHash,
        ledger: chain.ledgerSeq,
      },
    ]);
    const call = 'select * from ledger_post($1, $2, $3, $4, $5::jsonb)';
    const values = [`wallet/${caller}`, `deposit ${id}`, '', 'mkt_1', transfers];
    if (!transaction) return pool.query(call, values);
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query(call, values);
      return await client.query('commit');
    } finally {
      client.release();
    }
  };

/** A release: seller and fee wallet are paid. `marketplace` decides whether all callers share the hot accounts. */
const release =
  (orm: Orm, marketplace: (caller: number) => string): Post =>
  (caller, id) =>
    orm.em.fork().transactional((em) => payOut(em.getKysely(), marketplace(caller), caller, id));

const payOut = (trx: Sql, marketplaceId: string, caller: number, id: string) =>
  contractOutflow(
    trx,
    { workflowId: `order/${caller}`, step: `release ${id}` },
    {
      marketplaceId,
      asset: ASSET,
      ...chain,
      orderId: `ord_${caller}`,
      escrowId: `esc_${caller}`,
      transfers: [
        { to: { kind: 'USER', userId: `usr_${caller}`, walletId: `wal_${caller}` }, amount: 97n },
        { to: { kind: 'PLATFORM', walletId: `fee_${marketplaceId}` }, amount: 2n },
        { to: { kind: 'EXTERNAL' }, amount: 1n },
      ],
    },
  );

/** Fills the contracts from which releases pay, with `ledger_post` itself. */
async function fill(pool: pg.Pool, marketplaceId: string, caller: number): Promise<void> {
  const account = (kind: string, owner: string, hot: boolean) => ({ kind, owner, asset: ASSET, hot });
  const outside = account('external', marketplaceId, true);
  const common = {
    kind: 'POSTED',
    code: 'TOP_UP',
    resource: { type: 'order', id: `ord_${caller}` },
    amount: '1000000000000',
  };
  const transfers = [
    { ...common, debit: account('custody.contract', `esc_${caller}`, false), credit: outside },
    { ...common, debit: outside, credit: account('order.escrow', `ord_${caller}`, false) },
  ];
  const values = [`fill/${caller}`, marketplaceId, '', marketplaceId, JSON.stringify(transfers)];
  await pool.query('select * from ledger_post($1, $2, $3, $4, $5::jsonb)', values);
}

/** Posts per second of `CALLERS` callers that each post one after the other. */
async function measure(post: Post, round: string): Promise<number> {
  const begun = performance.now();
  const caller = async (index: number): Promise<void> => {
    for (let n = 0; n < POSTS_PER_CALLER; n += 1) await post(index, `${round}-${index}-${n}`);
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, index) => caller(index)));
  return (CALLERS * POSTS_PER_CALLER * 1000) / (performance.now() - begun);
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function compare(url: string): Promise<void> {
  const orm = await openOrm({ url, poolMax: CALLERS });
  const pool = new pg.Pool({ connectionString: url, max: CALLERS });
  const own = (caller: number): string => `mkt_own_${caller}`;
  for (let caller = 0; caller < CALLERS; caller += 1) {
    await fill(pool, 'mkt_shared', caller);
    await fill(pool, own(caller), caller);
  }
  const modes: Record<string, Post> = {
    service: byService(orm),
    'raw pg, same statements': byHand(pool, true),
    'raw pg, one statement': byHand(pool, false),
    'release, hot accounts shared': release(orm, () => 'mkt_shared'),
    'release, hot accounts spread': release(orm, own),
  };
  const rates = new Map<string, number[]>(Object.keys(modes).map((mode) => [mode, []]));
  for (let round = 0; round <= ROUNDS; round += 1)
    for (const [mode, post] of Object.entries(modes)) {
      const rate = await measure(post, `${mode} ${round}`);
      // round 0 warms pools, plans and caches
      if (round > 0) rates.get(mode)?.push(rate);
    }
  await Promise.all([orm.close(), pool.end()]);
  report(new Map([...rates].map(([mode, measured]) => [mode, median(measured)])));
}

function report(rates: ReadonlyMap<string, number>): void {
  const ratio = (mode: string, to: string): string => ((rates.get(mode) ?? 0) / (rates.get(to) ?? 1)).toFixed(2);
  console.table([...rates].map(([mode, rate]) => ({ mode, 'posts per second': Math.round(rate) })));
  console.log(`service / raw pg, same statements: ${ratio('service', 'raw pg, same statements')} (budget ≥ 0.5)`);
  console.log(`service / raw pg, one statement:   ${ratio('service', 'raw pg, one statement')}`);
  const hot = ratio('release, hot accounts shared', 'release, hot accounts spread');
  console.log(`hot / spread:                      ${hot} (budget ≥ 0.9)`);
}

/** `npm run bench -- ledger` */
export async function run(): Promise<void> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'orchestrator-bench-'));
  chmodSync(dataDirectory, 0o755);
  const supervisor = createSupervisor({ logDirectory: join(dataDirectory, 'logs') });
  const passwords = { superuser: 'superuser', owner: 'owner', app: 'app' };
  const postgres: PostgresOptions = { dataDirectory, port: await freePort(), passwords };
  try {
    await supervisor.start(await preparePostgres(postgres));
    await createDatabase(postgres, 'bench');
    await migrate(postgresUrl(postgres, 'owner', 'bench'));
    await compare(postgresUrl(postgres, 'app', 'bench'));
  } finally {
    await supervisor.stopAll();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}
