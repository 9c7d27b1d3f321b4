/**
 * Each repair from each parked state: what is parked says so everywhere, `retry` goes on when the trouble is over, `give_up`
 * goes back as if the step were dead and lets it be asked for anew, and what would not help is refused. `adopt` and
 * `payout_to` are carried out in `repairs.test.ts`.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { REPAIRS } from '../../domain/repairs.ts';
import { expectCoherent } from '../support/coherent.ts';
import { type ProblemBody, fundedUser, getOrder } from '../support/flows.ts';
import { key, keyOf, rows, to, withdraw } from '../support/payments.ts';
import {
  type Place,
  type SubjectBody,
  ask,
  dispute,
  eventsOf,
  placeOrder,
  repair,
  subjectOf,
  titleIn,
  until,
  untilOperation,
} from '../support/side-by-side.ts';
import { type Call, type TestStack, startTestStack } from '../support/stack.ts';
import { createStranger } from '../support/stranger.ts';
import { eventually } from '../support/wait.ts';
import { type ParkedState, type Trouble, WALKS, type Walk } from './parked-states.ts';

const PATIENCE = { timeoutMs: 120_000 };

let stack: TestStack;
/** by words */
const ends = new Map<string, Promise<void>>();

/** Brings the trouble about. @returns how it is mended */
async function trouble(what: Trouble, { orderId, ...parties }: Place): Promise<() => Promise<unknown>> {
  if ('forged' in what) {
    const { escrow } = await getOrder(parties.api, orderId);
    // The contract's first envelope knows no contract: it is known by the title.
    const body = escrow?.contract_id ?? titleIn(parties.marketplaceId);
    const match = { face: 'trustless-work', path: what.route, body };
    await stack.fault({ name: `xdr_${what.forged}`, count: 1, match });
    return () => Promise.resolve();
  }
  if ('frozen' in what) {
    const { address } = parties[what.frozen].wallet;
    await stack.control('POST', '/freeze', { address });
    return () => stack.control('POST', '/unfreeze', { address });
  }
  if ('unknown' in what) {
    const ours = [orderId, parties[what.unknown].wallet.address];
    const other = `update chain_transactions set source = reverse(source) where order_id = $1 and source`;
    await rows(stack, `${other} = $2`, ours);
    return () => rows(stack, `${other} = reverse($2)`, ours);
  }
  const expected = (sign: string) =>
    rows(stack, `update orders set amount = amount ${sign} 1 where id = $1`, [orderId]);
  await expected('+');
  return () => expected('-');
}

const workflowOf = (path: string): string => path.slice(1).replace('s/', '/');

/** As the search attribute and the current details of its workflow show it. */
async function expectShown(path: string, parked: boolean): Promise<void> {
  const handle = stack.client.workflow.getHandle(workflowOf(path));
  await eventually(async () => {
    const { searchAttributes } = await handle.describe();
    const { currentDetails } = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
    expect([searchAttributes['Attention']?.[0] ?? false, currentDetails?.includes('parked')]).toEqual([parked, parked]);
    return true;
  }, PATIENCE);
}

type AttentionBody = NonNullable<SubjectBody['attention']> & { readonly resource: { readonly id: string } };
type Parked = Pick<ParkedState, 'reason' | 'repairs' | 'parked'>;

/** It is parked, and everybody who has to know can: on the resource, in the list, in the Temporal UI. */
async function expectParked(api: Call, path: string, { reason, repairs, parked }: Parked): Promise<SubjectBody> {
  const subject = await untilOperation(api, path, 'PARKED');
  expect(subject).toMatchObject(parked);
  const { body } = await api<{ data: AttentionBody[] }>('GET', `/attention?reason=${reason}`);
  const attention = body.data.find(({ resource }) => resource.id === subject.id) ?? null;
  expect(attention).toMatchObject({ reason, allowed_repairs: repairs, workflow_id: workflowOf(path) });
  // An adjustment shows it in the list alone.
  if (!path.startsWith('/adjustments')) expect(attention).toMatchObject(subject.attention ?? {});
  return { ...subject, attention };
}

/** What would not help is refused, and says what would. */
async function expectRefusals(api: Call, { attention }: SubjectBody, repairs: readonly string[]): Promise<void> {
  const fields = { adopt: { transaction_hash: '0'.repeat(64) }, payout_to: { address: `G${'A'.repeat(55)}` } };
  for (const action of REPAIRS.filter((one) => !repairs.includes(one))) {
    const more = action === 'adopt' || action === 'payout_to' ? fields[action] : {};
    const body = { action, reason: 'out of place', ...more };
    const refused = await api<ProblemBody>('POST', `/attention/${attention?.id}/repair`, body);
    expect([action, refused.status, refused.body]).toMatchObject([action, 409, { code: 'INVALID_STATE' }]);
    expect(refused.body.allowed).toEqual(repairs);
  }
}

async function settled(api: Call, parked: SubjectBody, action: string): Promise<void> {
  const { status, body } = await repair(api, parked, action);
  expect([action, status, body]).toMatchObject([action, expect.any(Number), { id: parked.attention?.id }]);
}

interface Here {
  readonly place: Place;
  readonly path: string;
  /** brought about already, for a state that is reached by a retry */
  mend: (() => Promise<unknown>) | null;
}

async function tryOut(here: Here, state: ParkedState, next: ParkedState | undefined): Promise<void> {
  const { place, path } = here;
  const { api } = place;
  const { trouble: what, verb, body, givenUp, repairs } = state;
  let mend = here.mend ?? (await trouble(what, place));
  here.mend = null;
  if (state.continues !== true) await ask(api, path, verb, body);
  let parked = await expectParked(api, path, state);
  await expectShown(path, true);
  await expectRefusals(api, parked, repairs);
  if (state.lost === true) await stack.client.workflow.getHandle(workflowOf(path)).terminate('lost');
  if (givenUp !== undefined) {
    await settled(api, parked, 'give_up');
    const failed = await untilOperation(api, path, 'FAILED');
    const operation = { transaction_hash: parked.operation?.transaction_hash, error: { code: 'CANCELED' } };
    expect(failed).toMatchObject({ ...givenUp, attention: null, operation });
    await expectShown(path, false);
    // Asked for anew, it meets the same trouble.
    if ('forged' in what) mend = await trouble(what, place);
    await ask(api, path, verb, body);
    parked = await expectParked(api, path, state);
  }
  await mend();
  if (next?.continues === true) here.mend = await trouble(next.trouble, place);
  await settled(api, parked, 'retry');
  if (next?.continues === true) return;
  await until(api, path, ({ status, operation }) => status === state.done && operation?.status === 'SUCCEEDED');
  expect(await subjectOf(api, path)).toMatchObject({ attention: null });
  await expectShown(path, false);
}

/** Every state of a walk, one after the other; a state that goes wrong takes the ones after it along. */
function begin({ name, after, fields, disputed, states }: Walk): void {
  let last: Promise<unknown> = (async (): Promise<Here> => {
    const place = await placeOrder(stack, after, fields);
    return { place, path: disputed === true ? await dispute(place) : `/orders/${place.orderId}`, mend: null };
  })();
  const start = last as Promise<Here>;
  for (const [index, state] of states.entries()) {
    const end = last.then(async () => tryOut(await start, state, states[index + 1]));
    ends.set(state.words, end);
    last = end;
  }
  const times = states.reduce((sum, { givenUp }) => sum + (givenUp === undefined ? 1 : 2), 0);
  ends.set(
    toldOf(name),
    last.then(async () => expectTold(await start, times, disputed === true)),
  );
}

const toldOf = (name: string): string => `${name}: events and audit tell of every repair`;

/** Who repaired what, and why; and each time in the events of the order. */
async function expectTold({ place, path }: Here, times: number, disputed: boolean): Promise<void> {
  const audits = await rows<{ action: string; actor: string | null; reason: string }>(
    stack,
    `select action, actor, after->>'reason' as reason from audit_log where resource_id = $1 and action like 'attention.%'`,
    [path.split('/').at(-1)],
  );
  // Once per call: where the workflow was lost, the first one is told to come again.
  expect(audits.length).toBeGreaterThanOrEqual(times);
  expect(audits.every(({ actor, reason }) => actor !== null && reason === 'looked at it')).toBe(true);
  if (disputed) return;
  const told = (await eventsOf(place.api, place.orderId, 2 * times)).filter((type) => type.startsWith('attention_'));
  expect(told).toEqual(Array.from({ length: times }, () => ['attention_required', 'attention_cleared']).flat());
}

/** An asset that this network does not have: the row cannot be trusted. */
const setAsset = (id: string, asset: string) =>
  rows(stack, 'update payments set asset = $2 where id = $1', [id, asset]);

async function payment(type: 'withdrawals' | 'adjustments'): Promise<void> {
  const market = await stack.createMarketplace({ approval_threshold: '1' });
  const { api } = market;
  const [user, bob] = await Promise.all([fundedUser(api, '10'), keyOf(stack, market, 'bob', ['read', 'support'])]);
  const outside = await createStranger(stack, '1');
  const correction = { amount: '4', reason: 'mistake', reference: 'T-1' };
  const asked =
    type === 'withdrawals'
      ? await withdraw(api, { user_id: user.id, amount: '4', destination: to(outside.address) })
      : await api<SubjectBody>('POST', `/users/${user.id}/balance/debit`, correction, key());
  const { id } = asked.body;
  const path = `/${type}/${id}`;
  await setAsset(id, 'GOLD');
  await ask(bob, path, 'approve');
  const repairs = ['retry', 'adopt'] as const;
  const parked = await expectParked(bob, path, { reason: 'BOOKS_DIFFER', repairs, parked: { status: 'APPROVED' } });
  await expectShown(path, true);
  await expectRefusals(bob, parked, repairs);
  await setAsset(id, 'USDC');
  await settled(bob, parked, 'retry');
  await until(bob, path, ({ status, attention }) => status === 'COMPLETED' && (attention ?? null) === null);
  await expectShown(path, false);
}

beforeAll(async () => {
  stack = await startTestStack();
  WALKS.forEach(begin);
  for (const type of ['withdrawals', 'adjustments'] as const)
    ends.set(`${type}: the row cannot be trusted`, payment(type));
  await Promise.allSettled(ends.values());
}, 600_000);
afterAll(async () => {
  await stack.stop();
});

const NAMES = [
  ...WALKS.flatMap(({ name, states }) => [...states.map(({ words }) => words), toldOf(name)]),
  'withdrawals: the row cannot be trusted',
  'adjustments: the row cannot be trusted',
];

test.each(NAMES)('%s', (words) => ends.get(words));

test('the books are coherent after all of it', () => expectCoherent(stack), 60_000);
