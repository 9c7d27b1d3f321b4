/**
 * Whatever a provider answers when (late, out of order, from a node that restarted or lags), what is taken for dead never
 * lands, what is taken for landed did, and in the end it is known. Against a model of the network.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Look, type Sought, findOut } from '../../activities/chain/look.ts';
import type { ChainRpc, TransactionOutcome } from '../../providers/chain/port.ts';

const HASH = 'ab'.repeat(32);
const SIGNED_AT = 10;
const SEQUENCE = 7n;

/** A history of the network as it will have been: what happens in each ledger after the signature. */
interface World {
  /** seconds between a ledger and the one before; two may close in the same second */
  readonly gaps: readonly number[];
  /** index of the ledger in which it lands, if the rules allow it then */
  readonly landsAt: number;
  readonly successful: boolean;
  /** index of the ledger in which another transaction uses its sequence number */
  readonly usedAt: number;
  /** seconds after the signature at which its time bounds end, and ledgers at which its ledger bounds do */
  readonly lifetime: number;
  readonly ledgers: number | null;
}

/** One question to the provider: how many ledgers behind the node that answers is, and how much history it keeps. */
interface Answer {
  readonly behind: number;
  readonly keeps: number;
}

const index = fc.integer({ min: 0, max: 40 });
const worlds: fc.Arbitrary<World> = fc.record({
  gaps: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 30, maxLength: 30 }),
  landsAt: index,
  successful: fc.boolean(),
  usedAt: index,
  lifetime: fc.integer({ min: 1, max: 300 }),
  ledgers: fc.option(fc.integer({ min: 1, max: 30 }), { nil: null }),
});
const answers: fc.Arbitrary<Answer> = fc.record({
  behind: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.integer({ min: 0, max: 12 }) }),
  keeps: fc.oneof(
    { weight: 4, arbitrary: fc.constant(1_000) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 20 }) },
  ),
});

function networkOf(world: World) {
  const closedAt = (ledger: number): number =>
    1_000 + world.gaps.slice(0, Math.max(0, ledger - SIGNED_AT)).reduce((sum, gap) => sum + gap, 0);
  const last = SIGNED_AT + world.gaps.length;
  const sought: Sought = {
    innerHash: HASH,
    source: 'GSOURCE',
    sequence: SEQUENCE,
    maxTime: BigInt(1_000 + world.lifetime),
    maxLedger: world.ledgers === null ? null : SIGNED_AT + world.ledgers,
    signedLedger: SIGNED_AT,
  };
  const wanted = SIGNED_AT + 1 + world.landsAt;
  const used = SIGNED_AT + 1 + world.usedAt;
  // The network's rules: bounds are kept, and a sequence number is used once.
  const allowed =
    wanted <= last &&
    BigInt(closedAt(wanted)) <= sought.maxTime &&
    (sought.maxLedger === null || wanted < sought.maxLedger) &&
    !(used < wanted);
  const landed = allowed ? wanted : null;
  /** the number is used by ours or by another one, whichever came first */
  const usedIn = Math.min(landed ?? Number.POSITIVE_INFINITY, used <= last ? used : Number.POSITIVE_INFINITY);
  return { closedAt, last, sought, landed, usedIn };
}

/** The provider at a head of the network, answering question after question. */
function providerOf(world: World, head: () => number, next: () => Answer): Pick<ChainRpc, 'transaction' | 'account'> {
  const { closedAt, landed, usedIn } = networkOf(world);
  const at = ({ behind }: Answer): number => Math.max(1, head() - behind);
  return {
    transaction: async (): Promise<TransactionOutcome> => {
      const answer = next();
      const latest = at(answer);
      const oldest = Math.max(1, latest - answer.keeps);
      if (landed !== null && landed <= latest && landed >= oldest)
        return {
          status: 'LANDED',
          successful: world.successful,
          hash: HASH,
          ledger: landed,
          closedAt: '',
          resultXdr: '',
          feeCharged: 100n,
          movements: [],
          returnValue: null,
          envelope: '',
        };
      return { status: 'ABSENT', latestLedger: latest, latestClosedAt: closedAt(latest), oldestLedger: oldest };
    },
    account: async () => {
      const ledger = at(next());
      return { ledger, value: { sequence: ledger >= usedIn ? SEQUENCE : SEQUENCE - 1n, balance: 0n, reserved: 0n } };
    },
  };
}

const honest: Answer = { behind: 0, keeps: 1_000 };

describe('finding out', () => {
  test('what is taken for dead never lands, what is taken for landed did', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, fc.array(answers, { minLength: 120, maxLength: 120 }), async (world, script) => {
        const { last, sought, landed } = networkOf(world);
        let head = SIGNED_AT;
        let asked = 0;
        const rpc = providerOf(
          world,
          () => head,
          () => script[asked++ % script.length] ?? honest,
        );
        for (; head <= last; head += 1) {
          const look = await findOut(rpc, sought);
          if (look.status === 'DEAD') expect(landed).toBeNull();
          if (look.status === 'LANDED')
            expect(look.landed).toMatchObject({ ledger: landed, successful: world.successful });
          if (look.status === 'DEAD' || look.status === 'LANDED') return;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('in the end it is known, by a provider whose history goes back to the signature', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, async (world) => {
        const { last, sought, landed, closedAt } = networkOf({ ...world, lifetime: Math.min(world.lifetime, 29) });
        const over = BigInt(closedAt(last)) > sought.maxTime;
        const look: Look = await findOut(
          providerOf(
            { ...world, lifetime: Math.min(world.lifetime, 29) },
            () => last,
            () => honest,
          ),
          sought,
        );
        if (over || landed !== null) expect(look.status).toBe(landed === null ? 'DEAD' : 'LANDED');
      }),
      { numRuns: 1_000 },
    );
  });

  test('a provider that forgot when it may have landed is never believed that it did not', async () => {
    await fc.assert(
      fc.asyncProperty(worlds, fc.integer({ min: 0, max: 8 }), async (world, keeps) => {
        const { last, sought } = networkOf(world);
        const look = await findOut(
          providerOf(
            world,
            () => last,
            () => ({ behind: 0, keeps }),
          ),
          sought,
        );
        expect(['LANDED', 'PENDING', 'UNKNOWABLE']).toContain(look.status);
      }),
    );
  });
});
