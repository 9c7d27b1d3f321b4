import { describe, expect, test } from '@jest/globals';
import { Account, Asset, Memo, Operation, TransactionBuilder, xdr } from '@stellar/stellar-sdk/base';
import { formatFixed } from '../../domain/money.ts';
import { encodeResult, resultCodes, TX_CODES, type TxCode } from '../../sandbox/core/results.ts';
import {
  accounts,
  apply,
  type Build,
  build,
  bump,
  codes,
  fund,
  key,
  openCore,
  PASSPHRASE,
  refusal,
  submit,
  USDC,
  usdcOf,
  xlmOf,
} from './core-support.ts';

const [alice, bob, carol, sponsor, ghost] = ['alice', 'bob', 'carol', 'sponsor', 'ghost'].map(key) as [
  ReturnType<typeof key>,
  ReturnType<typeof key>,
  ReturnType<typeof key>,
  ReturnType<typeof key>,
  ReturnType<typeof key>,
];

const pay = (to: typeof alice, amount: string, asset = USDC, source?: typeof alice) =>
  Operation.payment({
    destination: to.publicKey(),
    asset,
    amount,
    ...(source === undefined ? {} : { source: source.publicKey() }),
  });

const sandwich = (user: typeof alice) => [
  Operation.beginSponsoringFutureReserves({ sponsoredId: user.publicKey() }),
  Operation.createAccount({ destination: user.publicKey(), startingBalance: '0' }),
  Operation.changeTrust({ source: user.publicKey(), asset: USDC }),
  Operation.endSponsoringFutureReserves({ source: user.publicKey() }),
];

function market() {
  const core = openCore();
  fund(core, [alice, bob], '100');
  fund(core, [carol, sponsor]);
  return core;
}

type Core = ReturnType<typeof market>;
const sequenceOf = (core: Core, one: typeof alice) => core.view().account(one.publicKey())?.sequence ?? 0n;

describe('result XDR of the network’s codes', () => {
  test.each([
    ['txTOO_EARLY', 'tx_too_early', '+'],
    ['txTOO_LATE', 'tx_too_late', '9'],
    ['txMISSING_OPERATION', 'tx_missing_operation', '8'],
    ['txBAD_SEQ', 'tx_bad_seq', '7'],
    ['txBAD_AUTH', 'tx_bad_auth', '6'],
    ['txINSUFFICIENT_BALANCE', 'tx_insufficient_balance', '5'],
    ['txNO_ACCOUNT', 'tx_no_source_account', '4'],
    ['txINSUFFICIENT_FEE', 'tx_insufficient_fee', '3'],
    ['txBAD_AUTH_EXTRA', 'tx_bad_auth_extra', '2'],
    ['txINTERNAL_ERROR', 'tx_internal_error', '1'],
    ['txNOT_SUPPORTED', 'tx_not_supported', '0'],
    ['txBAD_SPONSORSHIP', 'tx_bad_sponsorship', 'y'],
    ['txBAD_MIN_SEQ_AGE_OR_GAP', 'tx_bad_minseq_age_or_gap', 'x'],
    ['txMALFORMED', 'tx_malformed', 'w'],
    ['txSOROBAN_INVALID', 'tx_soroban_invalid', 'v'],
  ] as [TxCode, string, string][])('%s', (code, name, letter) => {
    const encoded = encodeResult({ code, operations: [] }, 100n);
    expect(encoded).toBe(`AAAAAAAAAGT////${letter}AAAAAA==`);
    expect(resultCodes(encoded)).toEqual({ transaction: name });
    expect(xdr.TransactionResult.fromXdr(encoded, 'base64').result.type.toLowerCase()).toBe(
      code.replaceAll('_', '').toLowerCase(),
    );
    expect(TX_CODES[code]).toBeLessThan(0);
  });

  test('every operation’s success can be stated before the operation was reached', () => {
    const core = market();
    const ops = [
      pay(bob, '1', USDC, carol),
      Operation.accountMerge({ destination: bob.publicKey() }),
      Operation.pathPaymentStrictSend({
        sendAsset: USDC,
        sendAmount: '1',
        destination: bob.publicKey(),
        destAsset: USDC,
        destMin: '1',
      }),
      pay(bob, '1', USDC, carol),
    ];
    const outcome = submit(core, build(core, alice, ops));
    // Core stops at the first fault: what comes behind it is stated as a success.
    expect(refusal(outcome)).toEqual({
      transaction: 'tx_failed',
      operations: ['op_bad_auth', 'op_success', 'op_success', 'op_success'],
    });
    if (outcome.status !== 'ERROR') throw new Error(outcome.status);
    xdr.TransactionResult.fromXdr(outcome.errorResultXdr, 'base64');
  });
});

describe('the order in which a transaction is checked', () => {
  const core = market();
  const late = { timebounds: { minTime: 0, maxTime: 1 } } as const;
  const wrong: Build = { sequence: 7n };
  test.each<[string, () => { toXdr(): string }, string]>([
    ['no operation before the time', () => build(core, alice, [], late), 'tx_missing_operation'],
    ['the time before the fee', () => build(core, alice, [pay(bob, '1')], { ...late, fee: '1' }), 'tx_too_late'],
    ['the fee before the account', () => build(core, ghost, [pay(bob, '1')], { fee: '1' }), 'tx_insufficient_fee'],
    ['the account before the sequence', () => build(core, ghost, [pay(bob, '1')], wrong), 'tx_no_source_account'],
    [
      'the sequence before the signature',
      () => build(core, alice, [pay(bob, '1')], { ...wrong, signers: [carol] }),
      'tx_bad_seq',
    ],
    [
      'the operations before superfluous signatures',
      () => build(core, alice, [pay(bob, '1', USDC, carol)], { signers: [alice, bob] }),
      'tx_failed',
    ],
  ])('%s', (_, transaction, expected) => {
    expect(refusal(submit(core, transaction())).transaction).toBe(expected);
  });

  test('a fee bump is asked first: its fee, its rate, its payer, its signature', () => {
    const inner = build(core, alice, [pay(bob, '1')], { fee: '300', ...wrong });
    const cheap = TransactionBuilder.buildFeeBumpTransaction(sponsor, '300', inner, PASSPHRASE);
    const envelope = cheap.toEnvelope();
    if (envelope.type !== 'envelopeTypeTxFeeBump') throw new Error(envelope.type);
    const { tx } = envelope.feeBump;
    const rebuilt = (fee: bigint, payer = sponsor, signer = payer) => {
      const source = xdr.MuxedAccount.keyTypeEd25519(payer.rawPublicKey());
      const body = new xdr.FeeBumpTransaction({ feeSource: source, fee, innerTx: tx.innerTx, ext: tx.ext });
      const bare = new xdr.FeeBumpTransactionEnvelope({ tx: body, signatures: [] });
      const outer = TransactionBuilder.fromXdr(
        xdr.TransactionEnvelope.envelopeTypeTxFeeBump(bare).toXdr('base64'),
        PASSPHRASE,
      );
      outer.sign(signer);
      return refusal(submit(core, outer));
    };
    expect(rebuilt(199n)).toEqual({ transaction: 'tx_insufficient_fee' });
    expect(rebuilt(599n)).toEqual({ transaction: 'tx_insufficient_fee' });
    expect(rebuilt(600n, ghost)).toEqual({ transaction: 'tx_no_source_account' });
    expect(rebuilt(600n, sponsor, carol)).toEqual({ transaction: 'tx_bad_auth' });
    expect(rebuilt(600n)).toEqual({ transaction: 'tx_fee_bump_inner_failed', inner_transaction: 'tx_bad_seq' });
  });
});

describe('preconditions', () => {
  const builder = (core: Core) =>
    new TransactionBuilder(new Account(alice.publicKey(), String(sequenceOf(core, alice))), {
      fee: '100',
      networkPassphrase: PASSPHRASE,
      timebounds: { minTime: 0, maxTime: 0 },
    }).addOperation(pay(bob, '1'));
  const signed = (one: TransactionBuilder) => {
    const transaction = one.build();
    transaction.sign(alice);
    return transaction;
  };

  test('an account’s number may be too young or too near', () => {
    const core = market();
    apply(core, build(core, alice, [pay(bob, '1')]));
    for (const one of [
      builder(core).setMinAccountSequenceAge(1_000n),
      builder(core).setMinAccountSequenceLedgerGap(9),
    ]) {
      expect(refusal(submit(core, signed(one)))).toEqual({ transaction: 'tx_bad_minseq_age_or_gap' });
    }
    expect(submit(core, signed(builder(core).setMinAccountSequenceLedgerGap(1))).status).toBe('PENDING');
  });

  test('with a minimum, numbers may be left out', () => {
    const core = market();
    const from = sequenceOf(core, alice);
    const gap = new TransactionBuilder(new Account(alice.publicKey(), String(from + 5n)), {
      fee: '100',
      networkPassphrase: PASSPHRASE,
      timebounds: { minTime: 0, maxTime: 0 },
    });
    gap.addOperation(pay(bob, '1')).setMinAccountSequence(String(from));
    expect(apply(core, signed(gap)).successful).toBe(true);
    expect(sequenceOf(core, alice)).toBe(from + 6n);
  });

  test('a lower ledger bound is the first ledger, an upper one the first no more', () => {
    const core = market();
    const next = core.latest().sequence + 1;
    const bounded = (minLedger: number, maxLedger: number) =>
      build(core, alice, [pay(bob, '1')], { ledgerbounds: { minLedger, maxLedger } });
    expect(refusal(submit(core, bounded(next + 1, 0)))).toEqual({ transaction: 'tx_too_early' });
    expect(refusal(submit(core, bounded(0, next)))).toEqual({ transaction: 'tx_too_late' });
    expect(submit(core, bounded(next, next + 1)).status).toBe('PENDING');
  });
});

describe('what a real core did', () => {
  test('a new account’s number is its ledger’s first', () => {
    const core = market();
    fund(core, [ghost]);
    expect(sequenceOf(core, ghost)).toBe(BigInt(core.latest().sequence) << 32n);
  });

  test('two sponsored wallets without XLM: eight operations, one success', () => {
    const core = market();
    const users = [key('wallet-a'), key('wallet-b')];
    const record = apply(core, build(core, sponsor, users.flatMap(sandwich), { signers: [sponsor, ...users] }));
    expect(record.resultXdr.startsWith('AAAAAAAAAyAAAAAAAAAACAAAAAAAAAAQ')).toBe(true);
  });

  test('a channel’s number is used for another’s payment, whose own stays', () => {
    const core = market();
    const before = [sequenceOf(core, carol), sequenceOf(core, alice)] as const;
    apply(core, build(core, carol, [pay(bob, '3', USDC, alice)], { signers: [carol, alice] }));
    expect([sequenceOf(core, carol), sequenceOf(core, alice)]).toEqual([before[0] + 1n, before[1]]);
    expect(usdcOf(core, alice)).toBe(970_000_000n);
  });

  test('a hundred channels’ payments share one ledger, under ids without gaps', () => {
    const core = market();
    const channels = Array.from({ length: 100 }, (_, index) => key(`channel-${index}`));
    fund(core, channels);
    for (const channel of channels) {
      const payment = build(core, channel, [pay(bob, '0.5', USDC, alice)], { signers: [channel, alice] });
      expect(submit(core, payment).status).toBe('PENDING');
    }
    const { transactions } = core.closeLedger();
    expect(transactions.filter(({ successful }) => successful)).toHaveLength(100);
    expect(transactions.map(({ order }) => order)).toEqual(channels.map((_, index) => index + 1));
    expect(usdcOf(core, bob)).toBe(1_500_000_000n);
  });

  test('five times the bid is too little for a replacement, ten times is enough, and the first bump never lands', () => {
    const core = market();
    const inner = build(core, alice, [pay(bob, '1')]);
    const first = submit(core, bump(sponsor, '100', inner));
    expect(refusal(submit(core, bump(sponsor, '500', inner)))).toEqual({ transaction: 'tx_insufficient_fee' });
    expect(submit(core, bump(sponsor, '1000', inner)).status).toBe('PENDING');
    core.closeLedger();
    expect(core.transaction(first.hash)).toBeUndefined();
    expect(core.transaction(Buffer.from(inner.hash()).toString('hex'))?.successful).toBe(true);
  });

  test('a failed transaction within a bump costs the sponsor, and its own account nothing', () => {
    const core = market();
    const before = [xlmOf(core, sponsor) ?? 0n, xlmOf(core, alice)] as const;
    const record = apply(core, bump(sponsor, '150', build(core, alice, [pay(bob, '100000')])));
    expect(codes(record)).toEqual({
      transaction: 'tx_fee_bump_inner_failed',
      inner_transaction: 'tx_failed',
      operations: ['op_underfunded'],
    });
    expect([xlmOf(core, sponsor), xlmOf(core, alice)]).toEqual([before[0] - record.feeCharged, before[1]]);
  });

  test('a wallet closes in one transaction: pays out, drops its trustline, merges into its sponsor', () => {
    const core = market();
    apply(core, build(core, sponsor, sandwich(ghost), { signers: [sponsor, ghost] }));
    apply(core, build(core, accounts.issuer, [pay(ghost, '7')]));
    const source = ghost.publicKey();
    const close = [
      pay(bob, '7', USDC, ghost),
      Operation.changeTrust({ source, asset: USDC, limit: '0' }),
      Operation.accountMerge({ source, destination: sponsor.publicKey() }),
    ];
    expect(apply(core, build(core, sponsor, close, { signers: [sponsor, ghost] })).successful).toBe(true);
    expect(core.view().account(source)).toBeUndefined();
    expect(core.view().account(sponsor.publicKey())?.sponsoring).toBe(0);
  });

  test('a merge needs no subentries, no sponsored accounts, and somebody to merge into', () => {
    const core = market();
    apply(core, build(core, sponsor, sandwich(ghost), { signers: [sponsor, ghost] }));
    const merge = (one: typeof alice, into: typeof alice) =>
      apply(core, build(core, one, [Operation.accountMerge({ destination: into.publicKey() })]));
    expect(codes(merge(alice, bob)).operations).toEqual(['op_has_sub_entries']);
    expect(codes(merge(carol, key('nobody'))).operations).toEqual(['op_no_account']);
    const refused = merge(sponsor, bob);
    // operation 8, code −7
    expect(Buffer.from(refused.resultXdr, 'base64').subarray(20, 28).toString('hex')).toBe('00000008fffffff9');
    expect(merge(carol, bob).successful).toBe(true);
  });

  test('a number as high as the next ledger’s first cannot be merged away: old envelopes would live again', () => {
    const core = market();
    const ahead = BigInt(core.latest().sequence + 10) << 32n;
    apply(core, build(core, carol, [Operation.bumpSequence({ bumpTo: String(ahead) })]));
    const merge = Operation.accountMerge({ destination: bob.publicKey() });
    expect(codes(apply(core, build(core, carol, [merge]))).operations).toEqual(['op_seq_num_too_far']);
  });

  test('an address merged away can be created again; its number starts anew and old envelopes stay dead', () => {
    const core = market();
    const old = build(core, carol, [pay(bob, '1', Asset.native())], { sequence: sequenceOf(core, carol) + 2n });
    apply(core, build(core, carol, [Operation.accountMerge({ destination: bob.publicKey() })]));
    fund(core, [carol]);
    expect(sequenceOf(core, carol)).toBe(BigInt(core.latest().sequence) << 32n);
    expect(refusal(submit(core, old))).toEqual({ transaction: 'tx_bad_seq' });
  });

  test('a sponsor cannot spend what it has locked, nor sponsor more than it has', () => {
    const core = market();
    apply(core, build(core, sponsor, sandwich(ghost), { signers: [sponsor, ghost] }));
    const fee = 100n;
    const free = (xlmOf(core, sponsor) ?? 0n) - 5n * 5_000_000n - fee;
    const spend = (stroops: bigint) =>
      apply(core, build(core, sponsor, [pay(bob, formatFixed(stroops), Asset.native())]));
    expect(codes(spend(free + 1n)).operations).toEqual(['op_underfunded']);
    expect(spend(free - fee).successful).toBe(true);
    expect(refusal(submit(core, build(core, sponsor, sandwich(key('more')))))).toEqual({
      transaction: 'tx_insufficient_balance',
    });
  });

  test('a pending transaction that becomes invalid never reaches a ledger', () => {
    const core = market();
    submit(
      core,
      build(core, alice, [pay(bob, '1')], { timebounds: { minTime: 0, maxTime: core.latest().closedAt + 1 } }),
    );
    expect(core.closeLedger(core.latest().closedAt + 60).transactions).toEqual([]);
    expect(core.pending()).toBe(0);
  });

  test('a contract call with a memo, without resources, or beside another operation is not valid', () => {
    const core = market();
    const call = Operation.invokeContractFunction({
      contract: USDC.contractId(PASSPHRASE),
      function: 'decimals',
      args: [],
    });
    expect(refusal(submit(core, build(core, alice, [call])))).toEqual({ transaction: 'tx_soroban_invalid' });
    expect(refusal(submit(core, build(core, alice, [call, pay(bob, '1')])))).toEqual({ transaction: 'tx_malformed' });
    const noted = new TransactionBuilder(new Account(alice.publicKey(), String(sequenceOf(core, alice))), {
      fee: '100000',
      networkPassphrase: PASSPHRASE,
      timebounds: { minTime: 0, maxTime: 0 },
      memo: Memo.text('x'),
    });
    const transaction = noted.addOperation(call).build();
    transaction.sign(alice);
    expect(refusal(submit(core, transaction))).toEqual({ transaction: 'tx_soroban_invalid' });
  });
});
