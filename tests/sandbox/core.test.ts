import { describe, expect, test } from '@jest/globals';
import {
  Account,
  Asset,
  Contract,
  Networks,
  nativeToScVal,
  Operation,
  TransactionBuilder,
  xdr,
} from '@stellar/stellar-sdk/base';
import { assemble } from '../../sandbox/contracts/index.ts';
import { networkId, readEnvelope } from '../../sandbox/core/envelope.ts';
import { toid } from '../../sandbox/core/toid.ts';
import {
  accounts,
  apply,
  build,
  bump,
  codes,
  fund,
  key,
  openCore,
  refusal,
  submit,
  USDC,
  usdcOf,
  xlmOf,
} from './core-support.ts';

const alice = key('alice');
const bob = key('bob');
const carol = key('carol');
const ghost = key('ghost');

const pay = (to: typeof alice, amount: string, asset = USDC) =>
  Operation.payment({ destination: to.publicKey(), asset, amount });

function market() {
  const core = openCore();
  fund(core, [alice, bob], '100');
  fund(core, [carol]);
  return core;
}

describe('result XDR equals what a real core writes', () => {
  const core = market();
  const result = (transaction: Parameters<typeof apply>[1]) => apply(core, transaction).resultXdr;

  test.each([
    ['success', () => build(core, alice, [pay(bob, '1')]), 'AAAAAAAAAGQAAAAAAAAAAQAAAAAAAAABAAAAAAAAAAA='],
    ['underfunded', () => build(core, alice, [pay(bob, '1000')]), 'AAAAAAAAAGT/////AAAAAQAAAAAAAAAB/////gAAAAA='],
    ['no_trust', () => build(core, alice, [pay(carol, '1')]), 'AAAAAAAAAGT/////AAAAAQAAAAAAAAAB////+gAAAAA='],
    ['no_destination', () => build(core, alice, [pay(ghost, '1')]), 'AAAAAAAAAGT/////AAAAAQAAAAAAAAAB////+wAAAAA='],
    ['src_no_trust', () => build(core, carol, [pay(bob, '1')]), 'AAAAAAAAAGT/////AAAAAQAAAAAAAAAB/////QAAAAA='],
  ])('a payment that ends with %s', (_, transaction, expected) => {
    expect(result(transaction())).toBe(expected);
  });

  test('a payment over the trustline limit ends with line_full', () => {
    apply(core, build(core, bob, [Operation.changeTrust({ asset: USDC, limit: '150' })]));
    expect(result(build(core, alice, [pay(bob, '90')]))).toBe('AAAAAAAAAGT/////AAAAAQAAAAAAAAAB////+AAAAAA=');
  });

  const refused = (transaction: { toXdr(): string }): string => {
    const outcome = submit(core, transaction);
    return outcome.status === 'ERROR' ? outcome.errorResultXdr : outcome.status;
  };

  test.each([
    ['bad_seq', () => build(core, alice, [pay(bob, '1')], { sequence: 1n }), 'AAAAAAAAAGT////7AAAAAA=='],
    ['bad_auth', () => build(core, alice, [pay(bob, '1')], { signers: [carol] }), 'AAAAAAAAAGT////6AAAAAA=='],
    [
      'bad_auth_extra',
      () => build(core, alice, [pay(bob, '1')], { signers: [alice, carol] }),
      'AAAAAAAAAGT////2AAAAAA==',
    ],
    ['no_source_account', () => build(core, ghost, [pay(bob, '1')]), 'AAAAAAAAAGT////4AAAAAA=='],
    ['missing_operation', () => build(core, alice, []), 'AAAAAAAAAGT////8AAAAAA=='],
    [
      'too_late',
      () => build(core, alice, [pay(bob, '1')], { timebounds: { minTime: 0, maxTime: 1000 } }),
      'AAAAAAAAAGT////9AAAAAA==',
    ],
    [
      'too_early',
      () => build(core, alice, [pay(bob, '1')], { timebounds: { minTime: 4e9, maxTime: 0 } }),
      'AAAAAAAAAGT////+AAAAAA==',
    ],
    ['insufficient_fee', () => build(core, alice, [pay(bob, '1')], { fee: '99' }), 'AAAAAAAAAGT////3AAAAAA=='],
  ])('a transaction refused with %s', (_, transaction, expected) => {
    expect(refused(transaction())).toBe(expected);
  });

  test('the SDK decodes every operation result as what it is', () => {
    const own = market();
    const ops = [
      Operation.createAccount({ destination: ghost.publicKey(), startingBalance: '5' }),
      Operation.pathPaymentStrictSend({
        sendAsset: USDC,
        sendAmount: '1',
        destination: bob.publicKey(),
        destAsset: USDC,
        destMin: '1',
      }),
      Operation.manageData({ name: 'note', value: 'x' }),
      Operation.setOptions({ homeDomain: 'example.org' }),
      Operation.bumpSequence({ bumpTo: '1' }),
    ];
    const record = apply(own, build(own, alice, ops, { fee: '200' }));
    const { result, feeCharged } = xdr.TransactionResult.fromXdr(record.resultXdr, 'base64');
    expect(feeCharged).toBe(500n);
    if (result.type !== 'txSuccess') throw new Error(result.type);
    const types = result.results.map((one) => (one.type === 'opInner' ? one.tr.type : one.type));
    expect(types).toEqual(['createAccount', 'pathPaymentStrictSend', 'manageData', 'setOptions', 'bumpSequence']);
  });
});

test('a transaction’s hash is the network’s', () => {
  const from = 'GA3WLEBUQ34KF4ZL4VO7GH3VBLXZAWB357UKCVYPBID5DWFF5JTV5UC4';
  const to = 'GBUCTMFT5CZE2AELODTJNQZ3PF7E6EITJRXJZ3SJLYJHW32EQTN6KMIS';
  const issuer = 'GBBD47IF6LWK7P7MDEVSCWR7DPUWV3NY3DTQEVFL4NAT4AQH3ZLLFLA5';
  const payment = { destination: to, asset: new Asset('USDC', issuer), amount: '12.5' };
  const transaction = new TransactionBuilder(new Account(from, '4294967296'), {
    fee: '100',
    networkPassphrase: Networks.TESTNET,
    timebounds: { minTime: 0, maxTime: 1_800_000_000 },
  })
    .addOperation(Operation.payment(payment))
    .build();
  const { id } = readEnvelope(transaction.toXdr(), networkId(Networks.TESTNET));
  expect(id).toBe('df2483d4a9dd5063817e7edd89b1fe362fbe6841fa31059b7963c2d30dc4d660');
});

describe('a transaction is all or nothing', () => {
  test('a failed operation undoes the others, yet fee and sequence number are gone', () => {
    const core = market();
    const before = { xlm: xlmOf(core, alice), seq: core.view().account(alice.publicKey())?.sequence };
    const record = apply(core, build(core, alice, [pay(bob, '10'), pay(ghost, '1')]));
    expect(codes(record)).toEqual({ transaction: 'tx_failed', operations: ['op_success', 'op_no_destination'] });
    expect(usdcOf(core, bob)).toBe(1_000_000_000n);
    expect(xlmOf(core, alice)).toBe((before.xlm ?? 0n) - 200n);
    expect(core.view().account(alice.publicKey())?.sequence).toBe((before.seq ?? 0n) + 1n);
  });

  test('two payments of one transaction move both amounts under their own ids', () => {
    const core = market();
    const record = apply(core, build(core, alice, [pay(bob, '10'), pay(bob, '2.5')]));
    expect(usdcOf(core, bob)).toBe(1_125_000_000n);
    expect(record.operations.map(({ id }) => id)).toEqual([toid(record.ledger, 1, 1), toid(record.ledger, 1, 2)]);
    expect(record.operations.map(({ changes }) => changes[0]?.amount)).toEqual([100_000_000n, 25_000_000n]);
  });

  test('an operation this ledger does not execute is refused, never passed over', () => {
    const core = market();
    const inflation = Operation.inflation({});
    expect(refusal(submit(core, build(core, alice, [pay(bob, '1'), inflation], { fee: '200' })))).toEqual({
      transaction: 'tx_not_supported',
    });
  });

  test('an operation in another account’s name needs that account’s signature', () => {
    const core = market();
    const steal = Operation.payment({
      source: bob.publicKey(),
      destination: alice.publicKey(),
      asset: USDC,
      amount: '1',
    });
    expect(refusal(submit(core, build(core, alice, [steal])))).toEqual({
      transaction: 'tx_failed',
      operations: ['op_bad_auth'],
    });
    const record = apply(core, build(core, alice, [steal], { signers: [alice, bob] }));
    expect(record.successful).toBe(true);
    // the channel's number is used, the payer's is not
    expect(usdcOf(core, bob)).toBe(990_000_000n);
  });
});

describe('sponsorship', () => {
  const sponsor = key('sponsor');
  const sandwich = (user: typeof alice) => {
    const source = user.publicKey();
    return [
      Operation.beginSponsoringFutureReserves({ sponsoredId: source }),
      Operation.createAccount({ destination: source, startingBalance: '0' }),
      Operation.changeTrust({ source, asset: USDC }),
      Operation.endSponsoringFutureReserves({ source }),
    ];
  };

  test('19 wallets without any XLM open in one transaction, 1.5 XLM each locked at the sponsor', () => {
    const core = openCore();
    fund(core, [sponsor]);
    const users = Array.from({ length: 19 }, (_, index) => key(`wallet-${index}`));
    const record = apply(core, build(core, sponsor, users.flatMap(sandwich), { signers: [sponsor, ...users] }));
    expect(record.successful).toBe(true);
    expect(core.view().account(sponsor.publicKey())?.sponsoring).toBe(57);
    for (const user of users) {
      const account = core.view().account(user.publicKey());
      expect([account?.balance, account?.sponsored, account?.subentries]).toEqual([0n, 3, 1]);
      expect(core.view().trustline(user.publicKey(), accounts.usdc)?.sponsor).toBe(sponsor.publicKey());
    }
    const locked = Operation.payment({
      destination: users[0]?.publicKey() ?? '',
      asset: Asset.native(),
      amount: '980',
    });
    expect(codes(apply(core, build(core, sponsor, [locked]))).operations).toEqual(['op_underfunded']);
  });

  test('a wallet without XLM cannot pay its own fee, a fee bump pays it: the inner fee is 0', () => {
    const core = openCore();
    fund(core, [sponsor]);
    fund(core, [bob], '1');
    apply(core, build(core, sponsor, sandwich(alice), { signers: [sponsor, alice] }));
    apply(core, build(core, accounts.issuer, [pay(alice, '5')]));
    expect(refusal(submit(core, build(core, alice, [pay(bob, '1')])))).toEqual({
      transaction: 'tx_insufficient_balance',
    });
    const inner = TransactionBuilder.cloneFrom(build(core, alice, [pay(bob, '1')], { signers: [] }), {
      fee: '0',
    }).build();
    inner.sign(alice);
    const record = apply(core, bump(sponsor, '100', inner));
    expect(codes(record)).toEqual({
      transaction: 'tx_fee_bump_inner_success',
      inner_transaction: 'tx_success',
      operations: ['op_success'],
    });
    expect(record.feeCharged).toBe(200n);
    expect(core.transaction(record.innerHash ?? '')).toBe(record);
    expect(xlmOf(core, alice)).toBe(0n);
    xdr.TransactionResult.fromXdr(record.resultXdr, 'base64');
  });

  test('a failed inner transaction still costs the sponsor, and the sequence number is used', () => {
    const core = market();
    fund(core, [sponsor]);
    const record = apply(core, bump(sponsor, '100', build(core, alice, [pay(ghost, '1')])));
    expect(codes(record)).toMatchObject({ transaction: 'tx_fee_bump_inner_failed', inner_transaction: 'tx_failed' });
    expect(xlmOf(core, sponsor)).toBe(10_000_000_000n - 200n);
  });

  test('an open sandwich fails the transaction', () => {
    const core = openCore();
    fund(core, [sponsor]);
    const record = apply(core, build(core, sponsor, sandwich(alice).slice(0, 3), { signers: [sponsor, alice] }));
    expect(codes(record)).toEqual({ transaction: 'tx_bad_sponsorship' });
    expect(core.view().account(alice.publicKey())).toBeUndefined();
  });

  test('a wallet closes into its sponsor, which gets its reserve back; a sponsor with wallets cannot merge', () => {
    const core = openCore();
    fund(core, [sponsor, bob]);
    apply(core, build(core, sponsor, sandwich(alice), { signers: [sponsor, alice] }));
    const merge = Operation.accountMerge({ destination: bob.publicKey() });
    expect(codes(apply(core, build(core, sponsor, [merge]))).operations).toEqual(['op_is_sponsor']);
    const close = [
      Operation.changeTrust({ source: alice.publicKey(), asset: USDC, limit: '0' }),
      Operation.accountMerge({ source: alice.publicKey(), destination: sponsor.publicKey() }),
    ];
    const record = apply(core, build(core, sponsor, close, { signers: [sponsor, alice] }));
    expect(record.successful).toBe(true);
    expect(core.view().account(sponsor.publicKey())?.sponsoring).toBe(0);
    expect(core.view().account(alice.publicKey())).toBeUndefined();
    xdr.TransactionResult.fromXdr(record.resultXdr, 'base64');
  });
});

describe('the queue', () => {
  test('keeps one pending transaction per account', () => {
    const core = market();
    const first = build(core, alice, [pay(bob, '1')]);
    const next = (core.view().account(alice.publicKey())?.sequence ?? 0n) + 2n;
    expect(submit(core, first).status).toBe('PENDING');
    expect(submit(core, first).status).toBe('DUPLICATE');
    expect(submit(core, build(core, alice, [pay(bob, '1')], { sequence: next })).status).toBe('TRY_AGAIN_LATER');
    core.closeLedger();
    expect(refusal(submit(core, first))).toEqual({ transaction: 'tx_bad_seq' });
  });

  test('replaces a pending transaction only by a fee bump that bids ten times as much', () => {
    const core = market();
    fund(core, [key('sponsor')]);
    const inner = build(core, alice, [pay(bob, '1')]);
    const first = bump(key('sponsor'), '200', inner);
    expect(submit(core, first).status).toBe('PENDING');
    expect(submit(core, inner).status).toBe('DUPLICATE');
    expect(refusal(submit(core, bump(key('sponsor'), '1999', inner)))).toEqual({ transaction: 'tx_insufficient_fee' });
    const replaced = submit(core, bump(key('sponsor'), '2000', inner));
    expect(replaced.status).toBe('PENDING');
    core.closeLedger();
    expect(core.transaction(replaced.hash)?.successful).toBe(true);
    const outer = Buffer.from(first.hash()).toString('hex');
    expect(core.transaction(outer)).toBeUndefined();
    expect(core.transaction(Buffer.from(inner.hash()).toString('hex'))?.hash).toBe(replaced.hash);
  });

  test('drops after four ledgers what finds no room, and bans it for ten', () => {
    const core = market();
    const late = build(core, alice, [pay(bob, '1')]);
    submit(core, late);
    core.capacity.classic = 0;
    for (let ledger = 0; ledger < 4; ledger += 1) core.closeLedger();
    expect(core.pending()).toBe(0);
    core.capacity.classic = 1000;
    for (let ledger = 0; ledger < 10; ledger += 1) {
      expect(submit(core, late).status).toBe('TRY_AGAIN_LATER');
      core.closeLedger();
    }
    expect(submit(core, late).status).toBe('PENDING');
  });

  test('under surge the best bids go first and everyone pays the lowest of them', () => {
    const core = market();
    const own = [alice, bob, carol].map((one, index) =>
      build(core, one, [Operation.manageData({ name: 'n', value: 'v' })], { fee: String(1000 * (index + 1)) }),
    );
    for (const transaction of own) submit(core, transaction);
    core.capacity.classic = 2;
    const { transactions } = core.closeLedger();
    expect(transactions.map(({ feeCharged }) => feeCharged)).toEqual([2000n, 2000n]);
    expect(core.pending()).toBe(1);
  });

  test('ledgerBounds.maxLedger is exclusive', () => {
    const core = market();
    const next = core.latest().sequence + 1;
    const until = (maxLedger: number) =>
      build(core, alice, [pay(bob, '1')], { ledgerbounds: { minLedger: 0, maxLedger } });
    expect(refusal(submit(core, until(next)))).toEqual({ transaction: 'tx_too_late' });
    expect(submit(core, until(next + 1)).status).toBe('PENDING');
  });
});

describe('issuer powers', () => {
  test('a frozen trustline neither sends nor receives; a clawback takes the money away', () => {
    const core = market();
    const freeze = Operation.setTrustLineFlags({ trustor: bob.publicKey(), asset: USDC, flags: { authorized: false } });
    apply(core, build(core, accounts.issuer, [freeze]));
    expect(codes(apply(core, build(core, bob, [pay(alice, '1')]))).operations).toEqual(['op_src_not_authorized']);
    expect(codes(apply(core, build(core, alice, [pay(bob, '1')]))).operations).toEqual(['op_not_authorized']);
    const take = Operation.clawback({ from: bob.publicKey(), asset: USDC, amount: '40' });
    const record = apply(core, build(core, accounts.issuer, [take]));
    expect(record.operations[0]?.changes).toMatchObject([
      { type: 'clawback', from: bob.publicKey(), amount: 400_000_000n },
    ]);
    expect(usdcOf(core, bob)).toBe(600_000_000n);
  });
});

test('a fault of the program costs one transaction, not the ledger', () => {
  const core = market();
  const broken = openCore(undefined, undefined, () => {
    throw new Error('on purpose');
  });
  fund(broken, [alice, bob], '100');
  fund(broken, [carol]);
  const transfer = new Contract(USDC.contractId(core.networkPassphrase)).call(
    'transfer',
    nativeToScVal(alice.publicKey(), { type: 'address' }),
    nativeToScVal(bob.publicKey(), { type: 'address' }),
    nativeToScVal(1n, { type: 'i128' }),
  );
  const call = assemble(core.view(), build(core, alice, [transfer], { signers: [] }));
  if (!call.ok) throw new Error(call.raw);
  call.transaction.sign(alice);
  submit(broken, build(broken, bob, [pay(alice, '1')]));
  const record = apply(broken, call.transaction);
  expect(codes(record)).toEqual({ transaction: 'tx_internal_error' });
  expect(
    broken
      .latest()
      .transactions.map(({ successful }) => successful)
      .toSorted(),
  ).toEqual([false, true]);
});

describe('signers and thresholds', () => {
  test('a raised threshold needs as many signatures, and a signer can be added and removed', () => {
    const core = market();
    const add = Operation.setOptions({
      signer: { ed25519PublicKey: carol.publicKey(), weight: 1 },
      medThreshold: 2,
      highThreshold: 2,
    });
    apply(core, build(core, alice, [add]));
    expect(refusal(submit(core, build(core, alice, [pay(bob, '1')]))).operations).toEqual(['op_bad_auth']);
    expect(apply(core, build(core, alice, [pay(bob, '1')], { signers: [alice, carol] })).successful).toBe(true);
    const remove = Operation.setOptions({
      signer: { ed25519PublicKey: carol.publicKey(), weight: 0 },
      medThreshold: 0,
    });
    expect(apply(core, build(core, alice, [remove], { signers: [carol, alice] })).successful).toBe(true);
    expect(core.view().account(alice.publicKey())?.subentries).toBe(1);
  });
});
