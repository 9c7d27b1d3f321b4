import { describe, expect, test } from '@jest/globals';
import { type Knowledge, classify, ownMovements } from '../../activities/booking/classify.ts';
import { troubleOf } from '../../activities/payments/reader.ts';
import { fromWire, toWire } from '../../activities/payments/wire.ts';
import type { Movement } from '../../domain/chain.ts';

const USDC = { code: 'USDC', issuer: 'GISSUER' };
const US = 'GUS';

const movement = (fields: Partial<Movement> = {}): Movement => ({
  operationId: '4294971393',
  index: 0,
  kind: 'PAYMENT',
  from: 'GSTRANGER',
  to: US,
  asset: USDC,
  amount: 10n,
  transactionHash: 'aa',
  ledger: 1,
  closedAt: '2026-11-22T14:00:00.000Z',
  ...fields,
});

const known = (fields: Partial<Knowledge> = {}): Knowledge => ({
  ours: new Map(),
  contracts: new Map(),
  assets: [USDC],
  wallet: { kind: 'USER', custodial: true },
  ...fields,
});

const verdict = (fields: Partial<Movement>, knowledge: Partial<Knowledge> = {}) => {
  const [own] = ownMovements(US, [movement(fields)]);
  if (own === undefined) throw new Error('the movement does not touch the wallet');
  return classify(own, known(knowledge));
};

describe('the movements of a wallet', () => {
  test('are told apart within one operation by direction, asset and ordinal', () => {
    const own = ownMovements(US, [
      movement({ index: 0 }),
      movement({ index: 1, to: 'GOTHER' }),
      movement({ index: 2 }),
      movement({ index: 3, from: US, to: 'GOTHER' }),
      movement({ index: 4, asset: { code: 'XLM', issuer: null } }),
      movement({ operationId: '4294971394' }),
    ]);
    expect(
      own.map(({ movement: { operationId, index }, direction, ordinal }) => [operationId, index, direction, ordinal]),
    ).toEqual([
      ['4294971393', 0, 'IN', 0],
      ['4294971393', 2, 'IN', 1],
      ['4294971393', 3, 'OUT', 0],
      ['4294971393', 4, 'IN', 0],
      ['4294971394', 0, 'IN', 0],
    ]);
  });

  test('are none where nothing moved: a payment to oneself, an account created with nothing', () => {
    expect(ownMovements(US, [movement({ from: US }), movement({ amount: 0n, kind: 'CREATE_ACCOUNT' })])).toEqual([]);
  });

  test('cross a workflow history without losing a stroop', () => {
    const whole = movement({ amount: 9_223_372_036_854_775_807n });
    expect(fromWire(JSON.parse(JSON.stringify(toWire(whole))) as ReturnType<typeof toWire>)).toEqual(whole);
  });
});

describe('one booker per movement', () => {
  test('money from outside is a deposit of a user and of the fee wallet', () => {
    expect(verdict({})).toEqual({ kind: 'DEPOSIT', booked: true });
    expect(verdict({ from: 'CROUTER' })).toEqual({ kind: 'DEPOSIT', booked: true });
    expect(verdict({ from: null, kind: 'MINT' })).toEqual({ kind: 'DEPOSIT', booked: true });
    expect(verdict({}, { wallet: { kind: 'FEE', custodial: true } })).toEqual({ kind: 'DEPOSIT', booked: true });
  });

  test('our own transactions are linked, never booked here, also when they pay out of a contract (F30)', () => {
    const ours = new Map([['aa', { type: 'order' as const, id: 'ord_1' }]]);
    const linked = { kind: 'OURS', booked: false, resource: { type: 'order', id: 'ord_1' } };
    expect(verdict({}, { ours })).toEqual(linked);
    expect(verdict({ from: 'CESCROW' }, { ours, contracts: new Map([['CESCROW', 'ord_2']]) })).toEqual(linked);
    expect(verdict({ from: US, to: 'CESCROW' }, { ours })).toEqual(linked);
    expect(verdict({}, { ours: new Map([['aa', null]]) })).toEqual({ kind: 'OURS', booked: false });
  });

  test("a payout of our contract in somebody else's transaction is the order's to book", () => {
    const contracts = new Map([['CESCROW', 'ord_1']]);
    const linked = { kind: 'CONTRACT', booked: false, resource: { type: 'order', id: 'ord_1' } };
    expect(verdict({ from: 'CESCROW' }, { contracts })).toEqual(linked);
    const own = { kind: 'USER', custodial: false } as const;
    expect(verdict({ from: US, to: 'CESCROW' }, { contracts, wallet: own })).toEqual(linked);
  });

  test('what a key of ours paid into a contract in a transaction that no row knows leaves the wallet’s books too', () => {
    const contracts = new Map([['CESCROW', 'ord_1']]);
    expect(verdict({ from: US, to: 'CESCROW' }, { contracts })).toEqual({ kind: 'UNEXPLAINED', booked: true });
  });

  test('money that leaves without us, or reaches a wallet that is not to receive, goes to suspense', () => {
    const suspense = { kind: 'UNEXPLAINED', booked: true };
    expect(verdict({ from: US, to: 'GTHIEF' })).toEqual(suspense);
    expect(verdict({ from: US, to: null, kind: 'CLAWBACK' })).toEqual(suspense);
    expect(verdict({}, { wallet: { kind: 'OPERATOR', custodial: true } })).toEqual(suspense);
    expect(verdict({}, { wallet: { kind: 'RESOLVER', custodial: true } })).toEqual(suspense);
  });

  test('another asset is recorded and never credited, also one of the same code (F40)', () => {
    expect(verdict({ asset: { code: 'XLM', issuer: null } })).toEqual({ kind: 'UNEXPLAINED', booked: false });
    expect(verdict({ asset: { code: 'USDC', issuer: 'GFAKE' } })).toEqual({ kind: 'UNEXPLAINED', booked: false });
  });

  test('a wallet whose key we do not hold is never booked', () => {
    expect(verdict({}, { wallet: { kind: 'USER', custodial: false } }).booked).toBe(false);
    expect(verdict({ from: US, to: 'GSHOP' }, { wallet: { kind: 'USER', custodial: false } }).booked).toBe(false);
  });
});

describe('the chain reader stops crediting', () => {
  // On a quiet network the cursor stays behind the ledger up to which everything is stored.
  const at = (ledger: number) => ({ cursor: (1n << 32n).toString(), ledger });
  const head = (fields = {}) => ({
    networkPassphrase: 'ours',
    latestLedger: 1_000,
    latestClosedAt: 0,
    oldestLedger: 100,
    ...fields,
  });
  const cases: [string, number, object, string | null][] = [
    ['inside the history it reads', 500, {}, null],
    ['at its very beginning it reads', 99, {}, null],
    ['when the provider forgot what it needs (F29)', 98, {}, 'the history of the provider begins after the cursor'],
    [
      'when the provider serves another network',
      500,
      { networkPassphrase: 'other' },
      'the provider serves another network',
    ],
    ['a provider that lags a little is waited for', 1_012, {}, null],
    ['when the network was reset', 1_013, {}, 'the cursor is ahead of the provider: it lags, or the network was reset'],
  ];
  test.each(cases)('%s', (_name, ledger, fields, expected) => {
    expect(troubleOf(head(fields), at(ledger), 'ours')).toBe(expected);
  });
});
