/**
 * What becomes of a signed envelope: found out and never guessed, whatever nodes answer; at most one of an intent lands;
 * what is dead gives back what it held; what is late changes nothing (F2, F14, F15).
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Deps } from '../../activities/context.ts';
import { createOrderActivities } from '../../activities/index.ts';
import { INCLUSION_FEE_BID, INCLUSION_FEE_MAX } from '../../domain/limits.ts';
import { bidOf } from '../../providers/chain/envelope.ts';
import type { FaultRule } from '../../sandbox/faults/registry.ts';
import {
  type ChainWorld,
  type Step,
  activitiesOf,
  deployStep,
  fundStep,
  repeated,
  startChainWorld,
} from '../support/chain-world.ts';
import { asActivity } from '../support/activity.ts';

let world: ChainWorld;
beforeAll(async () => {
  world = await startChainWorld();
}, 120_000);
afterAll(() => world.stop());
afterEach(async () => {
  world.sandbox.faults.clear();
  await world.expectSettled();
});

const keyOf = ({ workflowId, step }: Step): string => `${workflowId}/${step}`;
const fault = (rule: Partial<FaultRule> & Pick<FaultRule, 'name'>) => world.sandbox.faults.set(rule);
const here = (step: Step, deps: Partial<Deps> = {}) => activitiesOf({ ...world.process.deps, ...deps }, step);
const closeLedger = (): void => void world.sandbox.core.closeLedger();
/** Past every time bound; the network's own clock, not ours. */
const muchLater = (): void => void world.sandbox.core.closeLedger(world.sandbox.core.latest().closedAt + 3_600);

interface Stored {
  readonly id: string;
  readonly attempt: number;
  readonly status: string;
  readonly innerHash: string;
  readonly fee: string | null;
  readonly booked: boolean;
  readonly envelopes: number;
}

const attemptsAt = (step: Step): Promise<Stored[]> =>
  world.rows<Stored>(
    `select id, attempt, status, inner_hash as "innerHash", fee_charged::text as fee, booked_at is not null as booked,
       (select count(*)::int from chain_envelopes e where e.transaction_id = t.id) as envelopes
     from chain_transactions t where intent_key = $1 order by attempt`,
    keyOf(step),
  );

const landedOf = (stored: readonly Stored[]) =>
  stored.flatMap(({ innerHash }) => world.sandbox.core.history.transaction(innerHash) ?? []);

async function prepared(step: Step, activities = here(step)): Promise<string> {
  const result = await repeated((attempt) => activities.prepare(attempt), closeLedger);
  if (!('transaction_id' in result)) throw new Error('every wallet here is ours');
  return result.transaction_id;
}

/** Signed, and no node has heard of it. */
async function signed(step: Step): Promise<string> {
  const id = await prepared(step);
  expect(await here(step).sign(id)).toEqual({ status: 'SIGNED' });
  return id;
}

const pendingOf = (orderId: string) =>
  world.rows<{ code: string }>(
    `select t.code from ledger_transfers t join escrows e on e.id = t.resource_id where e.order_id = $1
       and t.kind = 'PENDING' and not exists (select from ledger_transfers s where s.pending_id = t.id)`,
    orderId,
  );

describe('whatever a node answers, it lands once and is found', () => {
  test.each<[string, Partial<FaultRule> & Pick<FaultRule, 'name'>]>([
    ['the answer is lost', { name: 'answer_lost_after_accept', count: 1 }],
    ['TRY_AGAIN_LATER, several times', { name: 'try_again_later', count: 3 }],
    ['a node behind says that the sequence is bad', { name: 'bad_seq_lag', count: 2 }],
    ['the submission is never answered', { name: 'timeout', count: 1, delayMs: 1, match: { body: 'sendTransaction' } }],
    ['nobody answers where it is', { name: 'http_503', count: 5, match: { body: 'getTransaction"' } }],
    [
      'it is looked for at a node that is ledgers behind',
      { name: 'stale_index', count: 6, ledgers: 4, match: { face: 'rpc' } },
    ],
  ])('%s', async (_words, rule) => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const id = await signed(step);
    fault(rule);
    const outcome = await repeated((attempt) => here(step).settle(id, attempt), closeLedger);
    expect(outcome).toMatchObject({ status: 'LANDED' });
    expect(world.sandbox.faults.journal().at(-1)).toMatchObject({ name: rule.name });
    const stored = await attemptsAt(step);
    expect(stored).toMatchObject([{ attempt: 1, status: 'CONFIRMED', booked: true }]);
    const [landed] = landedOf(stored);
    expect(stored[0]?.fee).toBe(String(landed?.feeCharged));
  });

  test('two processes that settle it at once submit it twice and book it once', async () => {
    const step = fundStep(await world.escrowed());
    const id = await signed(step);
    const both = await Promise.all(
      [1, 2].map(() => repeated((attempt) => here(step).settle(id, attempt), closeLedger)),
    );
    expect(both).toMatchObject([{ status: 'LANDED' }, { status: 'LANDED' }]);
    expect(await attemptsAt(step)).toMatchObject([{ attempt: 1, status: 'CONFIRMED', booked: true }]);
  });

  test('a refusal after it landed is no failure: the sequence number was used by itself (F15)', async () => {
    const step = fundStep(await world.escrowed());
    const id = await signed(step);
    fault({ name: 'answer_lost_after_accept', count: 1 });
    await here(step)
      .settle(id)
      .catch(() => undefined);
    closeLedger();
    // Sent again, the network says bad sequence; where it is looked for, the node is behind.
    fault({ name: 'stale_index', count: 3, ledgers: 2, match: { face: 'rpc', body: 'getTransaction"' } });
    await expect(here(step).settle(id)).rejects.toMatchObject({ type: 'PENDING' });
    world.sandbox.faults.clear();
    expect(await here(step).settle(id)).toMatchObject({ status: 'LANDED' });
  });
});

describe('dead is what is proved dead', () => {
  test('one that nobody takes dies with its time bounds, gives back what it held, and the next one lands', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const id = await signed(step);
    expect(await pendingOf(orderId)).toHaveLength(1);
    fault({ name: 'try_again_later' });
    for (let look = 1; look <= 3; look += 1)
      await expect(here(step).settle(id, look)).rejects.toMatchObject({ type: 'PENDING' });
    muchLater();
    expect(await here(step).settle(id, 4)).toMatchObject({ status: 'DEAD', reason: 'ENVELOPE_EXPIRED' });
    // In the transaction of its death: no compensation has run yet.
    expect(await pendingOf(orderId)).toEqual([]);
    world.sandbox.faults.clear();
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
    const stored = await attemptsAt(step);
    expect(stored).toMatchObject([
      { attempt: 1, status: 'DEAD' },
      { attempt: 2, status: 'CONFIRMED', booked: true },
    ]);
    expect(landedOf(stored)).toHaveLength(1);
  });

  test('one that fails in its ledger had no effect', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    fault({ name: 'success_then_fails', count: 1, match: { fn: 'fund_escrow' } });
    expect(await world.drive(step)).toMatchObject({ status: 'DEAD', reason: 'TRANSACTION_FAILED' });
    expect(await pendingOf(orderId)).toEqual([]);
    const [failed] = await attemptsAt(step);
    expect(failed).toMatchObject({ status: 'FAILED', booked: true });
    expect(BigInt(failed?.fee ?? 0)).toBeGreaterThan(0n);
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
  });

  test('what may have landed in history that is gone is nobody’s to guess: an operator is asked', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const id = await signed(step);
    fault({ name: 'try_again_later' });
    closeLedger();
    muchLater();
    world.sandbox.core.prune(world.sandbox.core.latest().sequence);
    for (let look = 1; look < 10; look += 1)
      await expect(here(step).settle(id, look)).rejects.toMatchObject({ nonRetryable: false });
    await expect(here(step).settle(id, 10)).rejects.toMatchObject({ type: 'BOOKS_DIFFER', nonRetryable: true });
    expect(await world.rows('select owner from source_leases')).toEqual([]);
    expect(await attemptsAt(step)).toMatchObject([{ status: 'SIGNED', booked: false }]);
    expect(await pendingOf(orderId)).toHaveLength(1);
    // What the test knows and no provider does: it was never sent.
    await world.rows(
      'update chain_transactions set signed_ledger = $2 where id = $1',
      id,
      world.sandbox.core.latest().sequence,
    );
    expect(await here(step).settle(id)).toMatchObject({ status: 'DEAD' });
  });
});

describe('what landed is landed', () => {
  test('books that cannot follow do not keep others from the account', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const id = await signed(step);
    await world.rows('update orders set amount = amount + 1 where id = $1', orderId);
    await expect(repeated((attempt) => here(step).settle(id, attempt), closeLedger)).rejects.toMatchObject({
      type: 'BOOKS_DIFFER',
    });
    expect(await attemptsAt(step)).toMatchObject([{ status: 'CONFIRMED', booked: false }]);
    // The same buyer funds another order meanwhile.
    const other = fundStep(await world.escrowed());
    expect(await world.drive(other)).toMatchObject({ status: 'LANDED' });
    await world.rows('update orders set amount = amount - 1 where id = $1', orderId);
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
    expect(await attemptsAt(step)).toMatchObject([{ attempt: 1, status: 'CONFIRMED', booked: true }]);
  });
});

describe('an attempt that comes late changes nothing', () => {
  test('a preparation that ends when another one is signed leaves the contract as it is', async () => {
    const orderId = await world.reserved();
    await world.begin(orderId, 'escrow');
    const step = deployStep(orderId);
    const { gateway } = world.process.deps;
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    await prepared(step);
    const late = here(step, {
      gateway: { ...gateway, build: async (call) => [await gateway.build(call), await held][0] ?? '' },
    }).prepare();
    const id = await signed(step);
    const contract = () => world.rows('select contract_id from escrows where order_id = $1', orderId);
    const before = await contract();
    letGo();
    await late;
    expect(await contract()).toEqual(before);
    const outcome = await repeated((attempt) => here(step).settle(id, attempt), closeLedger);
    expect(outcome).toMatchObject({ status: 'LANDED' });
    expect(await contract()).toEqual(before);
  });

  test('a signature under an envelope that was prepared anew meanwhile is not saved', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const id = await prepared(step);
    const { rpc } = world.process.deps;
    let again: Promise<unknown> | null = null;
    const meanwhile = here(step, {
      rpc: {
        ...rpc,
        latestLedger: async () => {
          const ledger = await rpc.latestLedger();
          if (again === null) {
            closeLedger();
            again = prepared(step);
            await again;
          }
          return ledger;
        },
      },
    });
    expect(await meanwhile.sign(id)).toEqual({ status: 'STALE' });
    expect(await attemptsAt(step)).toMatchObject([{ status: 'PREPARED', envelopes: 0 }]);
    expect(await pendingOf(orderId)).toEqual([]);
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
  });

  test('nothing is signed by whoever lost the account in the meantime', async () => {
    const orderId = await world.escrowed();
    const step = fundStep(orderId);
    const id = await prepared(step);
    await world.rows('delete from source_leases');
    expect(await here(step).sign(id)).toEqual({ status: 'STALE' });
    expect(await attemptsAt(step)).toMatchObject([{ status: 'PREPARED', envelopes: 0 }]);
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
  });
});

describe('when the network passes a transaction over', () => {
  const bids = async (step: Step): Promise<bigint[]> => {
    const [stored] = await attemptsAt(step);
    const rows = await world.rows<{ envelope: string }>(
      'select envelope from chain_envelopes where transaction_id = $1 order by created_at',
      stored?.id,
    );
    return rows.map(({ envelope }) => bidOf(envelope, world.process.deps.network.passphrase));
  };

  test('it bids more, and is the same transaction', async () => {
    const step = fundStep(await world.escrowed());
    fault({ name: 'fee_surge', fee: 50_000, ledgers: 30 });
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
    const stored = await attemptsAt(step);
    expect(await bids(step)).toEqual([INCLUSION_FEE_BID, INCLUSION_FEE_BID * 10n]);
    const [landed] = landedOf(stored);
    expect(stored).toMatchObject([{ attempt: 1, status: 'CONFIRMED', fee: String(landed?.feeCharged) }]);
  });

  test('it bids no more than the cap, and lands when the surge is over', async () => {
    const step = fundStep(await world.escrowed());
    fault({ name: 'fee_surge', fee: 5_000_000, ledgers: 40 });
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
    const offered = await bids(step);
    expect(offered).toEqual([INCLUSION_FEE_BID, INCLUSION_FEE_BID * 10n, INCLUSION_FEE_MAX]);
    expect(await attemptsAt(step)).toMatchObject([{ attempt: 1, status: 'CONFIRMED' }]);
  });

  test('a bid that is raised twice for the same envelope is raised once', async () => {
    const step = fundStep(await world.escrowed());
    const id = await signed(step);
    const [first] = await world.rows<{ hash: string }>(
      'select outer_hash as hash from chain_envelopes where transaction_id = $1',
      id,
    );
    const raise = () => here(step).raiseFee(id, first?.hash ?? '');
    await Promise.all([raise(), raise()]);
    await raise();
    expect(await bids(step)).toEqual([INCLUSION_FEE_BID, INCLUSION_FEE_BID * 10n]);
    const outcome = await repeated((attempt) => here(step).settle(id, attempt), closeLedger);
    expect(outcome).toMatchObject({ status: 'LANDED' });
  });
});

describe('what may land is not given up, whoever asks', () => {
  const origin = { request_id: null, actor: null, reason: null, cause: 'API' } as const;

  /** The two ways out of a funding, as the order's workflow would take them. */
  async function waysOut(orderId: string) {
    const step = fundStep(orderId);
    const orders = createOrderActivities(world.process.deps);
    const inWorkflow = <T>(work: () => Promise<T>) => asActivity(step.workflowId, 1, work);
    const row = async () => {
      const [order] = await world.rows<{ status: string; operation: { id: string; status: string } }>(
        'select status, operation from orders where id = $1',
        orderId,
      );
      if (order === undefined) throw new Error('no order');
      return order;
    };
    const { id } = (await row()).operation;
    const given = { step: 'fund', reason: 'CANCELED', detail: '', transaction_hash: null };
    return {
      step,
      row,
      fail: () => inWorkflow(() => orders.failOperation({ order_id: orderId, operation_id: id, ...given })),
      cancel: () => inWorkflow(() => orders.cancelOrder({ order_id: orderId, operation_id: 'op_cancel', ...origin })),
      begin: (operation_id: string) =>
        inWorkflow(() => orders.beginOperation({ order_id: orderId, operation_id, verb: 'fund', ...origin })),
      show: (status: string) =>
        world.rows(`update orders set operation = operation || $2::jsonb where id = $1`, orderId, { status }),
    };
  }

  test.each([
    ['it is signed', 'SIGNED'],
    ['it is sent, or handed out to be signed', 'SUBMITTED'],
    ['it is in a ledger and not booked', 'CONFIRMED'],
  ])('%s', async (_words, status) => {
    const orderId = await world.escrowed();
    const { step, row, fail, cancel, begin, show } = await waysOut(orderId);
    const id = await signed(step);
    await world.rows('update chain_transactions set status = $2 where id = $1', id, status);
    const before = await row();
    await expect(fail()).rejects.toMatchObject({ type: 'INVALID_STATE', nonRetryable: true });
    expect(await row()).toEqual(before);
    // A run that finds the operation on the row is told.
    expect(await begin(before.operation.id)).toMatchObject({ live: true });
    await show('FAILED');
    await expect(cancel()).rejects.toMatchObject({ type: 'INVALID_STATE', nonRetryable: true });
    expect(await row()).toMatchObject({ status: 'ESCROW_FUNDING' });
    await show('RUNNING');
    await world.rows("update chain_transactions set status = 'SIGNED' where id = $1", id);
    expect(await world.drive(step)).toMatchObject({ status: 'LANDED' });
    expect(await attemptsAt(step)).toMatchObject([{ status: 'CONFIRMED', booked: true }]);
  });

  test('what is only prepared is given up, its account is free, and it is never signed', async () => {
    const { step, row, fail, cancel, begin } = await waysOut(await world.escrowed());
    const id = await prepared(step);
    expect(await begin((await row()).operation.id)).not.toHaveProperty('live');
    await fail();
    expect(await row()).toMatchObject({ status: 'ESCROW_FUNDING', operation: { status: 'FAILED' } });
    await cancel();
    expect(await here(step).sign(id)).toEqual({ status: 'STALE' });
    expect(await row()).toMatchObject({ status: 'CLOSED' });
  });

  test('what is proved dead is given up', async () => {
    const { step, row, fail, cancel } = await waysOut(await world.escrowed());
    const id = await signed(step);
    muchLater();
    expect(await repeated((attempt) => here(step).settle(id, attempt), muchLater)).toMatchObject({ status: 'DEAD' });
    await fail();
    await cancel();
    expect(await row()).toMatchObject({ status: 'CLOSED' });
  });
});
