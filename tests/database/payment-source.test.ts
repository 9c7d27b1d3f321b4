/** One contract for both sources of a wallet's payments: what the wallet workflow relies on. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { Asset, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { sql } from 'kysely';
import { pino } from 'pino';
import { createReaderPulse } from '../../activities/payments/pulse.ts';
import { type Reader, createReader } from '../../activities/payments/reader.ts';
import {
  type PaymentPage,
  type PaymentSource,
  createSharedSource,
  createStreamSource,
} from '../../activities/payments/source.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import type { Pooled } from '../../providers/chain/port.ts';
import { type Network, startNetwork } from '../contract/network.ts';
import { type TestDatabase, createTestDatabase } from '../support/database.ts';

const NAME = 'sandbox';
const never = new AbortController().signal;

let network: Network;
let database: TestDatabase;
let orm: Orm;

beforeAll(async () => {
  [network, database] = await Promise.all([startNetwork(), createTestDatabase()]);
  orm = await openOrm({ url: database.appUrl, poolMax: 4 });
});
afterAll(async () => {
  await orm.close();
  await database.drop();
  await network.close();
});

/** Payments of the issuer in one transaction, one ledger. */
async function pay(...payments: [name: string, amount: string][]): Promise<void> {
  const { issuer } = network.sandbox.accounts;
  const account = await network.rpc.account(issuer.publicKey());
  const builder = new TransactionBuilder(
    {
      accountId: () => issuer.publicKey(),
      sequenceNumber: () => String(account.value?.sequence ?? 0n),
      incrementSequenceNumber: () => undefined,
    } as never,
    { fee: '1000', networkPassphrase: network.passphrase },
  ).setTimeout(0);
  const asset = new Asset(network.asset.code, network.asset.issuer);
  for (const [name, amount] of payments)
    builder.addOperation(Operation.payment({ destination: network.address(name), asset, amount }));
  const transaction = builder.build();
  transaction.sign(issuer);
  await network.rpc.submit(transaction.toEnvelope().toXDR('base64'));
  network.sandbox.core.closeLedger();
}

/** A pool of one. */
const pinnedOne = <P>(port: P): Pooled<P> => ({ ...port, pinned: async () => port });

interface Subject {
  readonly source: PaymentSource;
  /** what the shared source needs besides: somebody who reads the network */
  readUp(): Promise<void>;
}

function streamSubject(): Subject {
  return {
    source: createStreamSource({ history: pinnedOne(network.history), orm, network: NAME }),
    readUp: async () => undefined,
  };
}

type ReaderDeps = Parameters<typeof createReader>[0];

function readerOver(history: ReaderDeps['history']): Reader {
  const settings = { name: NAME, passphrase: network.passphrase, assets: [] } as unknown as ReaderDeps['network'];
  const client = new Client({ connection: Connection.lazy() });
  return createReader({ orm, network: settings, history, client, taskQueuePrefix: '', log: pino({ level: 'silent' }) });
}

function sharedSubject(): Subject {
  const history = pinnedOne(network.history);
  const reader = readerOver(history);
  const pulse = createReaderPulse(orm, NAME);
  return {
    source: createSharedSource({ orm, network: NAME, pulse }),
    readUp: async () => {
      for (let at = await reader.position(); ; ) {
        const step = await reader.step(at, never);
        if (step === null) throw new Error('the reader stopped');
        at = step.position;
        pulse.announce(step.stored);
        if (step.complete) break;
      }
    },
  };
}

describe.each([
  ['stream', streamSubject],
  ['shared', sharedSubject],
])('the %s source', (kind, subjectOf) => {
  let subject: Subject;
  let names: [string, string];
  let birth: string;
  let round = 0;

  beforeEach(async () => {
    subject = subjectOf();
    await subject.readUp();
    round += 1;
    names = [`${kind}-anna-${round}`, `${kind}-ben-${round}`];
    birth = await network.history.nowCursor();
    for (const name of names)
      await sql`
        insert into wallets (id, marketplace_id, kind, provider, status, address, created_at, updated_at)
        values (${`wal_${name}`}, 'mkt', 'USER', 'crypto-native', 'READY', ${network.address(name)}, now(), now())`.execute(
        pool(orm),
      );
    await network.provision(names);
  });

  const next = (cursor: string, holdMs = 0, signal = never): Promise<PaymentPage> =>
    subject.source.next({ address: network.address(names[0]), cursor, holdMs, signal });

  /** Everything behind the cursor, page by page. */
  async function all(cursor: string): Promise<PaymentPage[]> {
    const pages: PaymentPage[] = [];
    for (let at = cursor; ; ) {
      const page = await next(at);
      const received = page.movements.filter(({ amount }) => amount > 0n);
      if (page.movements.length === 0) return pages;
      if (received.length > 0) pages.push({ ...page, movements: received });
      at = page.cursor;
    }
  }

  test('gives the movements of the address in order, and nobody else’s', async () => {
    await pay([names[0], '1']);
    await pay([names[1], '2'], [names[0], '3']);
    await subject.readUp();
    const movements = (await all(birth)).flatMap((page) => page.movements);
    expect(movements.map(({ amount, to }) => [amount, to])).toEqual([
      [10_000_000n, network.address(names[0])],
      [30_000_000n, network.address(names[0])],
    ]);
  });

  test('tells two payments in one transaction apart (F27)', async () => {
    await pay([names[0], '0.0000001'], [names[0], '0.0000001']);
    await subject.readUp();
    const [one, other] = (await all(birth)).flatMap((page) => page.movements);
    expect(one?.transactionHash).toBe(other?.transactionHash);
    expect([one?.operationId, one?.index]).not.toEqual([other?.operationId, other?.index]);
  });

  test('goes on behind its cursor without a gap or a repeat, over many pages', async () => {
    const amounts = Array.from({ length: 120 }, (_, index) => `0.0000${String(index + 1).padStart(3, '0')}`);
    await pay(...amounts.slice(0, 60).map((amount): [string, string] => [names[0], amount]));
    await pay(...amounts.slice(60).map((amount): [string, string] => [names[0], amount]));
    await subject.readUp();
    const pages = await all(birth);
    expect(pages.length).toBeGreaterThan(1);
    const got = pages.flatMap((page) => page.movements.map(({ amount }) => Number(amount)));
    expect(got).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
  });

  test('waits, and answers when something comes', async () => {
    const before = await all(birth);
    expect(before).toEqual([]);
    const { cursor } = await next(birth);
    const waiting = next(cursor, 20_000);
    await pay([names[0], '4']);
    await subject.readUp();
    expect((await waiting).movements.map(({ amount }) => amount)).toEqual([40_000_000n]);
  });

  test('after a quiet hold answers with an empty page, whose cursor loses nothing that comes later', async () => {
    const quiet = await next((await next(birth)).cursor, 50);
    expect(quiet.movements).toEqual([]);
    expect(BigInt(quiet.cursor)).toBeGreaterThanOrEqual(BigInt(birth));
    await pay([names[0], '5']);
    await subject.readUp();
    expect((await all(quiet.cursor)).flatMap((page) => page.movements.map(({ amount }) => amount))).toEqual([
      50_000_000n,
    ]);
  });

  test('stops waiting when it is told to', async () => {
    const { cursor } = await next(birth);
    const stop = new AbortController();
    const waiting = next(cursor, 60_000, stop.signal);
    stop.abort(new Error('told to'));
    await expect(waiting).rejects.toThrow();
  });
});

test('both sources report the same movements, key by key', async () => {
  const [stream, shared] = [streamSubject(), sharedSubject()];
  await shared.readUp();
  const birth = await network.history.nowCursor();
  const address = network.address('both');
  await sql`
    insert into wallets (id, marketplace_id, kind, provider, status, address, created_at, updated_at)
    values ('wal_both', 'mkt', 'USER', 'crypto-native', 'READY', ${address}, now(), now())`.execute(pool(orm));
  await network.provision(['both']);
  await pay(['both', '1'], ['both', '1']);
  await pay(['both', '2']);
  await shared.readUp();
  const read = async ({ source }: Subject) => {
    const query = { address, holdMs: 0, signal: never };
    const movements = [];
    for (let page = await source.next({ ...query, cursor: birth }); page.movements.length > 0; ) {
      movements.push(...page.movements.filter(({ amount }) => amount > 0n));
      page = await source.next({ ...query, cursor: page.cursor });
    }
    return movements;
  };
  const [fromStream, fromShared] = [await read(stream), await read(shared)];
  expect(fromShared).toHaveLength(3);
  // Horizon writes times without fractions of a second, the table with.
  const keyed = (movements: typeof fromStream) =>
    movements.map((movement) => ({ ...movement, closedAt: new Date(movement.closedAt).getTime() }));
  expect(keyed(fromStream)).toEqual(keyed(fromShared));
});

test('a reader that another one overtook does not move the cursor back, and goes on from where it is', async () => {
  const shared = sharedSubject();
  await shared.readUp();
  const history = pinnedOne(network.history);
  const slow = readerOver(history);
  const stale = await slow.position();
  // More than a page: the page of the slow one ends before the stored cursor.
  await network.provision(['overtaken']);
  for (let round = 0; round < 3; round += 1)
    await pay(...Array.from({ length: 80 }, (): [string, string] => ['overtaken', '1']));
  await shared.readUp();
  const stored = await slow.position();
  expect(await slow.step(stale, never)).toMatchObject({ stored: [], position: stored });
  expect(await slow.position()).toEqual(stored);
});
