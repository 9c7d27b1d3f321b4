/**
 * Goal: whatever happens in whatever order, the books say what plain arithmetic says, and stay coherent.
 * Method: random commands, carried out by the balance service on Postgres and by a model that knows no accounts.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sql } from 'kysely';
import { balance, statement } from '../../db/ledger/statement.ts';
import { verifyLedger } from '../../db/ledger/verify.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';
import { type Command, ORDERS, USERS, type Model, apply, commands, emptyModel } from './ledger-model.ts';
import { ASSET, type World, createWorld, execute } from './ledger-world.ts';

let database: TestDatabase;
let orm: Orm;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await openOrm({ url: database.appUrl });
});
afterAll(async () => {
  await orm?.close();
  await database?.drop();
});

/** Thousands of transactions: a few seconds alone, more on a machine that is busy with the other tests. */
const RUNS_TIMEOUT_MS = 240_000;

type Done = { step: string; command: Exclude<Command, { type: 'replay' }>; ok: boolean };

/** Runs the commands on model and ledger side by side, comparing every outcome. */
async function runBoth(world: World, script: Command[]): Promise<Model> {
  const model = emptyModel();
  const done: Done[] = [];
  for (const [index, command] of script.entries()) {
    if (command.type === 'replay') {
      const again = done.at(-command.back);
      if (again === undefined || again.command.type === 'fold') continue;
      const expected = again.ok ? 'OK' : apply(model, again.command);
      expect(await execute(orm, world, again.step, again.command)).toEqual({ outcome: expected, replayed: again.ok });
      again.ok ||= expected === 'OK';
      continue;
    }
    const step = `step-${index}`;
    const expected = apply(model, command);
    expect(await execute(orm, world, step, command)).toEqual({ outcome: expected, replayed: false });
    done.push({ step, command, ok: expected === 'OK' });
  }
  return model;
}

interface Counters {
  kind: string;
  owner_id: string;
  posted: string;
  leaving: string;
}

async function expectSameAs(world: World, model: Model): Promise<void> {
  const { marketplaceId } = world;
  const connection = orm.em.fork().getKysely();
  for (let user = 0; user < USERS; user += 1) {
    const { available, reserved } = await balance(connection, {
      marketplaceId,
      userId: world.user(user),
      asset: ASSET,
    });
    expect({ available, reserved }).toEqual(model.users[user]);
  }
  const { rows } = await sql<Counters>`
    select kind, owner_id, abs(debits_posted - credits_posted)::text as posted,
      case when kind like 'custody.%' then credits_pending else debits_pending end::text as leaving
    from ledger_balances where marketplace_id = ${marketplaceId}`.execute(connection);
  const find = (kind: string, owner: string) => rows.find((row) => row.kind === kind && row.owner_id === owner);
  const posted = (kind: string, owner: string) => BigInt(find(kind, owner)?.posted ?? 0);
  for (let order = 0; order < ORDERS; order += 1) {
    expect(posted('order.escrow', world.order(order))).toBe(model.orders[order]?.escrowed);
    expect(posted('custody.contract', world.escrow(order))).toBe(model.orders[order]?.escrowed);
  }
  for (let wallet = 0; wallet < USERS; wallet += 1) {
    expect(posted('custody.wallet', world.wallet(wallet))).toBe(model.wallets[wallet]?.held);
    expect(BigInt(find('custody.wallet', world.wallet(wallet))?.leaving ?? 0)).toBe(model.wallets[wallet]?.leaving);
  }
  expect(posted('custody.wallet', world.platformWallet)).toBe(model.platform.held);
  expect(posted('platform.fees', marketplaceId)).toBe(model.platform.fees);
  expect(posted('platform.equity', marketplaceId)).toBe(model.platform.equity);
}

/** L4 breaks exactly when a wallet lost money nobody explained; L7 needs orders that live, which these do not. */
async function expectCoherent(world: World, model: Model): Promise<void> {
  const { violations } = await verifyLedger({ trx: orm.em.fork().getKysely() });
  const mine = violations.filter(
    ({ invariant, detail }) =>
      invariant !== 'L7' && (invariant !== 'L4' || detail['marketplace_id'] === world.marketplaceId),
  );
  const loss = [...model.wallets, model.platform].some((wallet) => wallet.unknown < 0n);
  expect(mine.map(({ invariant }) => invariant)).toEqual(loss ? ['L4'] : []);
}

/** Read page by page, the statement adds up to the balance: nothing left out, nothing shown twice. */
async function expectStatementsAddUp(world: World, model: Model): Promise<void> {
  const connection = orm.em.fork().getKysely();
  for (let user = 0; user < USERS; user += 1) {
    const account = { marketplaceId: world.marketplaceId, userId: world.user(user), asset: ASSET };
    let expected = model.users[user]?.available ?? 0n;
    let held = 0n;
    let cursor: bigint | undefined;
    for (let more = true; more; ) {
      const page = await statement(connection, { ...account, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      for (const entry of page.entries) {
        expect(entry.availableAfter).toBe(expected);
        if (entry.direction === 'CREDIT' || entry.direction === 'UNHOLD') expected -= entry.amount;
        if (entry.direction === 'HOLD') expected += entry.amount;
        if (entry.direction === 'HOLD') held += entry.amount;
        if (entry.direction === 'UNHOLD' || entry.direction === 'DEBIT') held -= entry.amount;
      }
      cursor = page.entries.at(-1)?.seq;
      more = page.hasMore;
    }
    expect({ before: expected, reserved: held }).toEqual({ before: 0n, reserved: model.users[user]?.reserved });
  }
}

test('in memory: random commands never create or destroy money, and no purse falls below zero', () => {
  fc.assert(
    fc.property(commands, (script) => {
      const model = emptyModel();
      for (const command of script) if (command.type !== 'replay') apply(model, command);
      for (const [index, wallet] of model.wallets.entries()) {
        const user = model.users[index];
        expect(wallet.held).toBe((user?.available ?? 0n) + (user?.reserved ?? 0n) + wallet.unknown);
        expect(wallet.held - wallet.leaving >= 0n && (user?.available ?? 0n) >= 0n).toBe(true);
      }
      const { held, fees, equity, unknown } = model.platform;
      expect(held).toBe(fees + equity + unknown);
    }),
    { numRuns: 1000 },
  );
});

test(
  'on Postgres: after any commands and replays, balances, statements and invariants are those of the model',
  async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (script) => {
        const world = await createWorld(orm);
        const model = await runBoth(world, script);
        await expectSameAs(world, model);
        await expectStatementsAddUp(world, model);
        await expectCoherent(world, model);
      }),
      { numRuns: 40, endOnFailure: true },
    );
  },
  RUNS_TIMEOUT_MS,
);
