/** Withdrawals and adjustments: what is allowed when, who approves, where money may go. */
import { randomBytes } from 'node:crypto';
import { Account, Keypair, MuxedAccount, StrKey } from '@stellar/stellar-sdk/base';
import { describe, expect, test } from '@jest/globals';
import { destinationOf } from '../../api/destination.ts';
import { isSecondPerson, needsApproval } from '../../domain/payment/approval.ts';
import { type DestinationView, whyUnpayable } from '../../domain/payment/destination.ts';
import { allowedPaymentVerbs, isDue, isOver, paymentRefusal } from '../../domain/payment/machine.ts';
import { Refusal } from '../../domain/refusal.ts';
import { type MemoType, PAYMENT_STATUSES } from '../../domain/statuses.ts';
import { buildPayment } from '../../providers/chain/payment.ts';

describe('the life of a payment', () => {
  test('is canceled only as long as nothing is signed, and approved only where that is asked for', () => {
    const allowed = Object.fromEntries(PAYMENT_STATUSES.map((status) => [status, allowedPaymentVerbs(status)]));
    expect(allowed).toEqual({
      CREATED: ['cancel'],
      APPROVAL_REQUIRED: ['approve', 'cancel'],
      APPROVED: ['cancel'],
      SUBMITTED: [],
      COMPLETED: [],
      FAILED: [],
      CANCELED: [],
    });
    expect(PAYMENT_STATUSES.filter(isDue)).toEqual(['APPROVED', 'SUBMITTED']);
    expect(PAYMENT_STATUSES.filter(isOver)).toEqual(['COMPLETED', 'FAILED', 'CANCELED']);
    expect(paymentRefusal('COMPLETED', 'approve')).toBe('approve needs APPROVAL_REQUIRED, it is COMPLETED');
  });

  test('needs a second person from the threshold on, and for every correction', () => {
    expect(needsApproval('WITHDRAWAL', 100n, null)).toBe(false);
    expect(needsApproval('WITHDRAWAL', 99n, 100n)).toBe(false);
    expect(needsApproval('WITHDRAWAL', 100n, 100n)).toBe(true);
    expect(needsApproval('ADJUSTMENT', 1n, null)).toBe(true);
    expect(isSecondPerson('bob', 'ann')).toBe(true);
    expect(isSecondPerson('bob', null)).toBe(true);
    expect(isSecondPerson('ann', 'ann')).toBe(false);
    // A key that names nobody may be anybody's, also the first one's.
    expect(isSecondPerson(null, 'ann')).toBe(false);
    expect(isSecondPerson(null, null)).toBe(false);
  });
});

describe('an account', () => {
  const open: DestinationView = {
    exists: true,
    line: { balance: 4n, limit: 10n, authorized: true },
    memoRequired: false,
  };
  const why = (view: Partial<DestinationView>, named = false) =>
    whyUnpayable({ ...open, ...view }, { amount: 6n, asset: 'USDC', named });

  test('is paid when nothing on chain speaks against it', () => {
    expect(why({})).toBeNull();
    expect(why({ memoRequired: true }, true)).toBeNull();
  });

  test.each([
    ['does not exist', { exists: false, line: null }],
    ['no trustline', { line: null }],
    ['issuer', { line: { balance: 4n, limit: 10n, authorized: false } }],
    ['no room', { line: { balance: 5n, limit: 10n, authorized: true } }],
    ['memo', { memoRequired: true }],
  ])('is not paid otherwise: %s', (words, view) => {
    expect(why(view)).toContain(words);
  });
});

describe('a destination', () => {
  const account = Keypair.random().publicKey();
  const muxed = new MuxedAccount(new Account(account, '0'), '7').accountId();
  const reasonOf = (address: string, memo: { type: MemoType; value: string } | null = null) => {
    try {
      return destinationOf({ address, memo });
    } catch (error) {
      if (error instanceof Refusal) return error.reason;
      throw error;
    }
  };

  test('is an account or names one of those who share it', () => {
    expect(destinationOf({ address: account, memo: null })).toEqual({ address: account, account, memo: null });
    expect(destinationOf({ address: muxed, memo: null })).toEqual({ address: muxed, account, memo: null });
  });

  test.each([
    '',
    'GARBAGE',
    `${account.slice(0, -1)}A`,
    StrKey.encodeContract(randomBytes(32)),
    Keypair.random().secret(),
  ])('is nothing else (%#)', (address) => {
    expect(reasonOf(address)).toBe('DESTINATION_INVALID');
  });

  test('has a memo that the network takes, and none beside an M… address', () => {
    const memo = (type: MemoType, value: string) => reasonOf(account, { type, value });
    expect(memo('TEXT', 'ä'.repeat(14))).toMatchObject({ memo: { value: 'ä'.repeat(14) } });
    expect(memo('TEXT', 'ä'.repeat(15))).toBe('VALIDATION_ERROR');
    expect(memo('ID', '18446744073709551615')).toMatchObject({ memo: { type: 'ID' } });
    for (const id of ['18446744073709551616', '-1', '01', '1.0', 'abc'])
      expect(memo('ID', id)).toBe('VALIDATION_ERROR');
    expect(memo('HASH', 'AB'.repeat(32))).toMatchObject({ memo: { value: 'ab'.repeat(32) } });
    for (const type of ['HASH', 'RETURN'] as const) expect(memo(type, 'ab'.repeat(31))).toBe('VALIDATION_ERROR');
    expect(reasonOf(muxed, { type: 'ID', value: '1' })).toBe('VALIDATION_ERROR');
  });

  test('whatever it is, an envelope can be built for it', () => {
    const [source, from, issuer] = [0, 1, 2].map(() => Keypair.random().publicKey());
    const build = (address: string, memo: { type: MemoType; value: string } | null) =>
      buildPayment({
        networkPassphrase: 'test',
        source: source ?? '',
        sequence: 1n,
        maxTime: 1,
        from: from ?? '',
        to: { address, memo },
        asset: { code: 'USDC', issuer: issuer ?? '' },
        amount: 1n,
      });
    const memos = [
      { type: 'TEXT', value: 'ä'.repeat(14) },
      { type: 'ID', value: '18446744073709551615' },
      { type: 'HASH', value: 'ab'.repeat(32) },
      { type: 'RETURN', value: 'ab'.repeat(32) },
    ] as const;
    const envelopes = [build(muxed, null), build(account, null), ...memos.map((memo) => build(account, memo))];
    expect(new Set(envelopes).size).toBe(6);
  });
});
