/**
 * The failure table, row by row: the fault is injected, and order, money, events, chain and history are held against what
 * the table says. What is shown elsewhere is named here, so that this is the index of the whole table.
 *
 * | kind | example | shown by |
 * |---|---|---|
 * | refused | `INSUFFICIENT_FUNDS`, `INVALID_STATE` | here |
 * | wait | 503, 429 of the gateway | here |
 * | | 502, lost answers, nodes behind | `tests/long/provider.test.ts` |
 * | | an outage of many orders, one attention item | `tests/long/providers-outage.test.ts` |
 * | | Temporal lost, reset, restored; the database restored | `tests/faults/temporal.test.ts`, `tests/long/recovery.test.ts` |
 * | | a worker killed anywhere | `tests/long/chain-recovery.test.ts`, `tests/database/chain-step-crashes.test.ts` |
 * | proved dead | every step, failed in its ledger and expired | here |
 * | | a withdrawal, failed in its ledger · expired | here · `tests/faults/withdrawals.test.ts` |
 * | | a signature that the user never gave | `tests/e2e/external-wallet.test.ts` |
 * | operator | envelope different, frozen trustline, books ≠ chain | `tests/e2e/repairs-table.test.ts` |
 * | | a resolution that keeps dying | here |
 * | | history gone before it was looked at, books that cannot follow | `tests/database/chain-step.test.ts` |
 * | bug | a compensation that keeps failing | here, `tests/database/stuck.test.ts` |
 * | | code that does not fit its history | `tests/replay/replay.test.ts`, `tests/long/guides.test.ts` |
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { expectCoherent } from '../support/coherent.ts';
import { type ProblemBody, balance, fundedUser, getOrder } from '../support/flows.ts';
import { FUNDED, HELD, IN_ESCROW, SPLIT, TO_ESCROW, TO_PROGRESS } from '../support/lives.ts';
import { rows, to, withdraw } from '../support/payments.ts';
import {
  type Case,
  type Place,
  ask,
  carriedOut,
  dispute,
  eventsOf,
  placeOrder,
  repair,
  roleOf,
  sentFor,
  sideBySide,
  stepsIn,
  subjectOf,
  until,
  untilOperation,
} from '../support/side-by-side.ts';
import { type Body, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';
import { DEAD_STEPS, type DeadStep } from './dead-steps.ts';

let stack: TestStack;
let ends: readonly (() => Promise<void>)[];

const PATIENCE = { timeoutMs: 120_000 };
const COMPENSATIONS = ['voidFunding', 'failOperation', 'failResolution', 'failPayment'];

/** What was undone, as the workflow's history tells it; each step in words, and no task of it failed. */
const expectUndone = (workflowId: string, ...undone: readonly string[]): Promise<true> =>
  // The row says it before the history does.
  eventually(async () => {
    const steps = await stepsIn(stack, workflowId);
    expect(steps.filter(({ kind }) => kind === 'TASK')).toEqual([]);
    const called = steps.filter(({ kind }) => kind === 'ACTIVITY' || kind === 'LOCAL' || kind === 'TIMER');
    expect(called.filter(({ label }) => label?.includes(' ') !== true)).toEqual([]);
    const compensations = steps.filter(({ name }) => COMPENSATIONS.includes(name));
    expect(compensations.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual(
      undone.map((name) => `${name} DONE`),
    );
    return true as const;
  }, PATIENCE);

const sentOf = async ({ orderId }: Place, kind: string): Promise<string[]> =>
  (await sentFor(stack, orderId)).filter((sent) => sent.startsWith(`${kind} `));

/** Its last transaction is signed: from here on there is only finding out. */
const untilSigned = (place: Place, kind: string) =>
  eventually(async () => /SIGNED|SUBMITTED/.test((await sentOf(place, kind)).at(-1) ?? ''), PATIENCE);

async function* refused(): Case {
  const { api, buyer, orderId } = await placeOrder(stack, [], { amount: '25.0000001' });
  const before = await getOrder(api, orderId);
  const short = await api<ProblemBody>('POST', `/orders/${orderId}/reserve`, {});
  expect(short).toMatchObject({ status: 422, body: { code: 'INSUFFICIENT_FUNDS', retryable: false } });
  const early = await api<ProblemBody>('POST', `/orders/${orderId}/escrow`, {});
  const stands = { current_status: 'ORDER_CREATED', allowed: ['reserve', 'cancel', 'extend'] };
  expect(early).toMatchObject({ status: 409, body: { code: 'INVALID_STATE', retryable: false, ...stands } });
  expect(await getOrder(api, orderId)).toEqual(before);
  expect(await balance(api, buyer.id)).toMatchObject({ available: '25', reserved: '0' });
  expect(await eventsOf(api, orderId, 1)).toEqual(['created']);
  await expectUndone(`order/${orderId}`);
  yield;
}

async function* waiting(rule: Body): Case {
  const { api, buyer, orderId } = await placeOrder(stack, TO_ESCROW);
  const path = `/orders/${orderId}`;
  const { escrow } = await getOrder(api, orderId);
  yield;
  await stack.fault({ ...rule, match: { face: 'trustless-work', body: escrow?.contract_id } });
  await ask(api, path, 'escrow/fund');
  const isWaiting = async () => ((await getOrder(api, orderId)).waiting_for === 'PROVIDER' ? true : null);
  await eventually(isWaiting, PATIENCE);
  expect(await getOrder(api, orderId)).toMatchObject({
    status: 'ESCROW_FUNDING',
    allowed: ['cancel'],
    attention: null,
    operation: { verb: 'fund', status: 'RUNNING', error: null },
  });
  expect(await balance(api, buyer.id)).toMatchObject(HELD);
  await stack.calm(String(rule['name']));
  await untilOperation(api, path, 'SUCCEEDED');
  expect(await getOrder(api, orderId)).toMatchObject({ status: 'IN_PROGRESS', waiting_for: null });
  expect(await eventsOf(api, orderId, FUNDED.length)).toEqual(FUNDED);
  await expectUndone(`order/${orderId}`);
  yield;
}

async function* dead(step: DeadStep): Case {
  const { after, disputed, verb, body, fn, role, kind, milestones } = step;
  const place = await placeOrder(stack, after, milestones === undefined ? {} : { milestones });
  const { api, buyer, orderId } = place;
  const subject = disputed === undefined ? `/orders/${orderId}` : await dispute(place, disputed === 'UNDER_REVIEW');
  const expectDead = async (code: string) => {
    const failed = await untilOperation(api, subject, 'FAILED');
    const operation = { verb: step.operation, error: { code } };
    expect(failed).toMatchObject({ ...step.dead, attention: null, operation });
    if (disputed !== undefined) expect(await getOrder(api, orderId)).toMatchObject({ status: 'DISPUTED' });
    expect(await balance(api, buyer.id)).toMatchObject(step.money);
  };
  yield;
  const match = { fn, ...(role === null ? {} : { source: await roleOf(stack, orderId, role) }) };
  await stack.fault({ name: 'success_then_fails', count: 1, match });
  await ask(api, subject, verb, body);
  await expectDead('TRANSACTION_FAILED');
  await stack.fault({ name: 'try_again_later', match: { face: 'core', ...match } });
  await ask(api, subject, verb, body);
  await untilSigned(place, kind);
  yield;
  await expectDead('ENVELOPE_EXPIRED');
  await carriedOut(api, subject, verb, body);
  expect(await sentOf(place, kind)).toEqual(['FAILED', 'DEAD', 'CONFIRMED'].map((end) => `${kind} ${end}`));
  if (step.landed !== undefined) expect(await sentOf(place, step.landed)).toEqual([`${step.landed} CONFIRMED`]);
  const [before, death, done] = step.events;
  const expected = [...before, ...death, ...death, ...done];
  expect(await eventsOf(api, orderId, expected.length)).toEqual(expected);
  const undone = disputed !== undefined ? ['failResolution'] : ['failOperation'];
  if (kind === 'FUND_ESCROW') undone.unshift('voidFunding');
  const workflowId = disputed === undefined ? `order/${orderId}` : subject.replace('/disputes/', 'dispute/');
  await expectUndone(workflowId, ...undone, ...undone);
}

/** A fault of ours: repeated until it goes through, on the attention list meanwhile; no workflow fails. */
async function* broken(): Case {
  const { api, buyer, orderId } = await placeOrder(stack, TO_ESCROW);
  const path = `/orders/${orderId}`;
  yield;
  await rows(
    stack,
    `create function broken() returns trigger language plpgsql as $$ begin raise exception 'unforeseen'; end $$;
     create trigger broken before update on orders for each row
       when (new.id = '${orderId}' and new.operation->>'status' = 'FAILED') execute function broken()`,
  );
  const source = await roleOf(stack, orderId, 'funder');
  await stack.fault({ name: 'success_then_fails', count: 1, match: { fn: 'fund_escrow', source } });
  await ask(api, path, 'escrow/fund');
  const stuck = await until(api, path, ({ attention }) => attention !== null);
  expect(stuck).toMatchObject({
    status: 'ESCROW_FUNDING',
    operation: { verb: 'fund', status: 'RUNNING' },
    attention: { reason: 'INTERNAL_ERROR', allowed_repairs: [] },
  });
  expect(await balance(api, buyer.id)).toMatchObject(HELD);
  await rows(stack, 'drop trigger broken on orders');
  await untilOperation(api, path, 'FAILED');
  await until(api, path, ({ attention }) => attention === null);
  await expectUndone(`order/${orderId}`, 'voidFunding', 'failOperation');
  await carriedOut(api, path, 'escrow/fund');
}

/** The issuer froze what the user holds: only the network finds that out. */
async function* withdrawn(): Case {
  const { api } = await stack.createMarketplace();
  const [user, outside] = await Promise.all([fundedUser(api, '25'), createStranger(stack, '1')]);
  const { address } = user.wallet;
  yield;
  await stack.control('POST', '/freeze', { address });
  const { body } = await withdraw(api, { user_id: user.id, amount: '4', destination: to(outside.address) });
  const failed = await untilOperation(api, `/withdrawals/${body.id}`, 'FAILED');
  expect(failed).toMatchObject({ status: 'FAILED', operation: { error: { code: 'TRANSACTION_FAILED' } } });
  expect(await balance(api, user.id)).toMatchObject({ available: '25', reserved: '0' });
  const events = ['created', 'approved', 'submitted', 'failed'];
  expect(await eventsOf(api, body.id, events.length)).toEqual(events);
  await expectUndone(`withdrawal/${body.id}`, 'failPayment');
  await stack.control('POST', '/unfreeze', { address });
}

/** The dispute is open on chain: there is no way back, the resolution is driven on, and in the end somebody has to look. */
async function* driven(asked: 'refund' | 'resolve'): Case {
  const place = await placeOrder(stack, TO_PROGRESS);
  const { api, buyer, orderId } = place;
  const subject = asked === 'refund' ? `/orders/${orderId}` : await dispute(place);
  const status = asked === 'refund' ? 'REFUND_REQUESTED' : 'RESOLVING';
  yield;
  const match = { fn: 'resolve_dispute', source: await roleOf(stack, orderId, 'dispute_resolver') };
  await stack.fault({ name: 'success_then_fails', match });
  await stack.fault({ name: 'try_again_later', match: { face: 'core', ...match } });
  if (asked === 'refund') await ask(api, subject, 'resolution/refund', { reason: 'not delivered' });
  else await ask(api, subject, 'resolve', SPLIT);
  await untilSigned(place, 'RESOLVE_DISPUTE');
  expect(await subjectOf(api, subject)).toMatchObject({ status, allowed: [], operation: { status: 'RUNNING' } });
  yield;
  const parked = await untilOperation(api, subject, 'PARKED');
  expect(parked).toMatchObject({ status, allowed: [], operation: { verb: asked } });
  expect(parked.attention).toMatchObject({ reason: 'RESOLUTION_STUCK', allowed_repairs: ['retry', 'adopt'] });
  expect(await balance(api, buyer.id)).toMatchObject(IN_ESCROW);
  const died = ['OPEN_DISPUTE CONFIRMED', ...['DEAD', 'FAILED', 'FAILED'].map((end) => `RESOLVE_DISPUTE ${end}`)];
  expect((await sentFor(stack, orderId)).slice(2)).toEqual(died);
  yield;
  expect((await repair(api, parked, 'give_up')).body).toMatchObject({
    code: 'INVALID_STATE',
    allowed: ['retry', 'adopt'],
  });
  await repair(api, parked, 'retry');
  await untilOperation(api, subject, 'SUCCEEDED');
  await until(api, `/orders/${orderId}`, (order) => order.status === 'CLOSED');
  const { settlements } = await getOrder(api, orderId);
  expect(settlements.map(({ gross }) => gross)).toEqual(asked === 'refund' ? ['25'] : ['10', '15']);
  const end = ['refund_requested', 'attention_required', 'attention_cleared', 'refunded', 'closed'];
  const expected = [...FUNDED, ...(asked === 'refund' ? end : ['disputed', 'closed'])];
  expect(await eventsOf(api, orderId, expected.length)).toEqual(expected);
}

const CASES: readonly (readonly [words: string, begin: () => Case])[] = [
  ['refused: nothing changed, and the caller is told why', refused],
  ['wait: 503 of the gateway', () => waiting({ name: 'http_503' })],
  ['wait: 429 of the gateway', () => waiting({ name: 'http_429', retry_after: 1 })],
  ...DEAD_STEPS.map((step) => [`proved dead: ${step.words}`, () => dead(step)] as const),
  ['bug: a compensation that keeps failing', broken],
  ['proved dead: a withdrawal that fails in its ledger', withdrawn],
  ['proved dead: the resolution of a refund is driven on, then parked', () => driven('refund')],
  ['proved dead: the resolution of a dispute is driven on, then parked', () => driven('resolve')],
];

/** Past every time bound, on the network's own clock; then nodes take everything again. */
async function passTime(): Promise<void> {
  const { closed_at: closedAt } = await stack.control<{ closed_at: number }>('GET', '/clock');
  await stack.control('POST', '/ledgers/close', { close_time: closedAt + 3_600 });
  await stack.calm('try_again_later');
}

beforeAll(async () => {
  // Their accounts are their own: nobody waits for another's dead transaction.
  const environment = { OPERATORS_PER_MARKETPLACE: '1', RESOLVERS_PER_MARKETPLACE: '1' };
  stack = await startTestStack({ environment });
  const ready = () => Promise.resolve();
  ends = await sideBySide(
    CASES.map(([, begin]) => begin()),
    [ready, passTime, () => stack.calm()],
  );
}, 600_000);
afterAll(() => stack.stop());

test.each(CASES.map(([words], index) => [words, index] as const))('%s', (_words, index) => ends[index]?.());

test('the books are coherent after all of it', () => expectCoherent(stack), 60_000);
