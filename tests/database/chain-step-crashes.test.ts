/**
 * A process may die between any two things it says to the outside: to the database, to the gateway, to the chain. Here it
 * does, behind every one that changes something there; another process goes on. Whatever it was, the money moves once and the books equal the chain
 * (F1–F3, F5, F15, F24).
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type Activities,
  type ChainWorld,
  type Step,
  activitiesOf,
  deployStep,
  fundStep,
  startChainWorld,
  stepOf,
} from '../support/chain-world.ts';
import { Killed, type Said, watch } from '../support/killer.ts';

let world: ChainWorld;
beforeAll(async () => {
  world = await startChainWorld();
}, 120_000);
afterAll(() => world.stop());

const approveStep = (orderId: string): Step =>
  stepOf(orderId, { kind: 'APPROVE', orderId, milestoneIndex: null }, 'approve');
const releaseStep = (orderId: string): Step =>
  stepOf(orderId, { kind: 'RELEASE', orderId, milestoneIndex: null }, 'release');

/**
 * Drives a step by a process that dies before the `dies`-th thing it says; from then on by another one, which is asked the
 * same again, as Temporal does.
 * @returns what was said until the end
 */
async function survive(step: Step, dies: number | null): Promise<readonly Said[]> {
  const first = await world.startProcess();
  const killer = watch(first.name, dies);
  const other = activitiesOf(world.process.deps, step);
  let activities: Activities = activitiesOf(first.deps, step);
  const lived = async <T>(work: (current: Activities) => Promise<T>): Promise<T> => {
    if (activities === other) return work(other);
    try {
      return await Promise.race([work(activities), killer.death]);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      killer.restore();
      await first.kill();
      activities = other;
      return work(other);
    }
  };
  try {
    const outcome = await world.drive(step, {
      prepare: (attempt) => lived((current) => current.prepare(attempt)),
      sign: (id, attempt) => lived((current) => current.sign(id, attempt)),
      settle: (id, attempt) => lived((current) => current.settle(id, attempt)),
      raiseFee: (id, outerHash, attempt) => lived((current) => current.raiseFee(id, outerHash, attempt)),
    });
    expect(outcome).toMatchObject({ status: 'LANDED' });
    return killer.said;
  } finally {
    killer.restore();
    if (activities !== other) await first.kill();
  }
}

const STEPS = ['deploy', 'fund', 'release'] as const;
type Name = (typeof STEPS)[number];

/** The life of an order; what moves money, and what decides where it goes, by processes that die where it is said. */
async function life(
  dies: (name: Name) => number | null,
): Promise<{ orderId: string; said: Record<Name, readonly Said[]> }> {
  const orderId = await world.reserved();
  await world.begin(orderId, 'escrow');
  const deploy = await survive(deployStep(orderId), dies('deploy'));
  await world.begin(orderId, 'fund');
  const fund = await survive(fundStep(orderId), dies('fund'));
  await world.begin(orderId, 'release');
  await world.drive(approveStep(orderId));
  return { orderId, said: { deploy, fund, release: await survive(releaseStep(orderId), dies('release')) } };
}

/** Where a death makes a difference: before the first word, and behind each that changes something outside. */
const pointsOf = (said: readonly Said[]): number[] => [
  1,
  ...said.slice(0, -1).flatMap(({ changes }, index) => (changes ? [index + 2] : [])),
];

const onChain = () => world.sandbox.core.history.transactions.map(({ transaction }) => transaction);

/** Four transactions of ours, each once on chain and once in the books. */
async function expectOnce(orderId: string): Promise<void> {
  const stored = await world.rows<{
    status: string;
    attempt: number;
    booked: boolean;
    inner_hash: string;
    fee: string;
  }>(
    `select status, attempt, booked_at is not null as booked, inner_hash, fee_charged::text as fee
     from chain_transactions where order_id = $1 order by created_at`,
    orderId,
  );
  expect(stored).toHaveLength(4);
  for (const row of stored) {
    expect(row).toMatchObject({ status: 'CONFIRMED', attempt: 1, booked: true });
    expect(BigInt(row.fee)).toBeGreaterThan(0n);
  }
  const ours = new Set(stored.map(({ inner_hash }) => inner_hash));
  const landed = onChain().filter(({ innerHash }) => ours.has(innerHash ?? ''));
  expect(landed.map(({ successful }) => successful)).toEqual([true, true, true, true]);
  expect(await world.rows('select status, final_status from orders where id = $1', orderId)).toEqual([
    { status: 'CLOSED', final_status: 'RELEASED' },
  ]);
}

test('an order survives the death of its process behind everything that its transactions change outside', async () => {
  const undisturbed = await life(() => null);
  await expectOnce(undisturbed.orderId);
  // Behind the last word nobody hears the answer: whoever asks again gets the same.
  for (const step of [deployStep, fundStep, releaseStep])
    expect(await world.drive(step(undisturbed.orderId))).toMatchObject({ status: 'LANDED' });
  const points = new Map(STEPS.map((name) => [name, pointsOf(undisturbed.said[name])]));
  const lives = Math.max(...[...points.values()].map(({ length }) => length));
  expect(lives).toBeGreaterThan(10);
  for (let index = 0; index < lives; index += 1) {
    const { orderId } = await life((name) => points.get(name)?.[index] ?? null);
    await expectOnce(orderId);
  }
  await world.expectSettled();
  // Nothing else that we pay for is on chain.
  const landed = onChain().filter(({ accounts }) => accounts.includes(world.process.deps.sponsorAddress));
  const [stored] = await world.rows<{ n: number }>('select count(*)::int as n from chain_transactions');
  expect(landed).toHaveLength(stored?.n ?? 0);
}, 600_000);
