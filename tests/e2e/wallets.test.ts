/** Wallets from creation to booked deposits, on real Temporal, Postgres and the local network. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sql } from 'kysely';
import { balance } from '../../db/ledger/statement.ts';
import { verifyLedger } from '../../db/ledger/verify.ts';
import { pool } from '../../db/sql.ts';
import { parseAmount } from '../../domain/money.ts';
import { eventually } from '../support/wait.ts';
import { type WorkerSystem, startWorkerSystem } from '../support/worker-system.ts';

let system: WorkerSystem;
let marketplaceId: string;

beforeAll(async () => {
  system = await startWorkerSystem();
  await system.startWorker();
  marketplaceId = await system.createMarketplace();
}, 120_000);
afterAll(() => system.stop());

const available = async (userId: string): Promise<bigint> =>
  (await balance(pool(system.orm), { marketplaceId, userId, asset: 'USDC' })).available;

describe('a wallet', () => {
  test('is created on chain with sponsored reserves, and its address is shown when it can receive', async () => {
    const { walletId } = await system.createUser(marketplaceId);
    const wallet = await system.ready(walletId);
    const account = (await (await fetch(`${system.sandbox.url}/horizon/accounts/${wallet.address}`)).json()) as {
      sponsor: string;
      balances: { asset_code?: string; balance: string }[];
    };
    expect(account.sponsor).toBe(system.config.sponsorAddress);
    expect(account.balances).toContainEqual(expect.objectContaining({ asset_code: 'USDC', balance: '0.0000000' }));
  });

  test('gets every deposit booked once, to the stroop', async () => {
    const { userId, walletId } = await system.createUser(marketplaceId);
    const { address } = await system.ready(walletId);
    await Promise.all(['10', '0.0000001', '5.1234567'].map((amount) => system.pay(address, amount)));
    await eventually(async () => (await available(userId)) === parseAmount('15.1234568'));
    expect(await verifyLedger({ trx: pool(system.orm) })).toMatchObject({ violations: [] });
    const events = await system.rows(
      sql<{ type: string }>`select type from events where resource_id = ${userId} order by sequence`,
    );
    expect(events.map(({ type }) => type)).toEqual([
      'user.created',
      ...Array.from({ length: 3 }, () => ['deposit.credited', 'balance.credited']).flat(),
    ]);
  });
});
