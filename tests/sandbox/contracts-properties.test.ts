/** What holds for every payout, and for every call that a transaction can contain. */
import { describe, expect, test } from '@jest/globals';
import { Account, MuxedAccount, xdr } from '@stellar/stellar-sdk/base';
import fc from 'fast-check';
import { deploymentOf, invokeHostFunction } from '../../sandbox/contracts/index.ts';
import { address, distributionMap, i128, string } from '../../sandbox/contracts/scval.ts';
import { openView } from '../../sandbox/core/state.ts';
import {
  alice,
  balance,
  bob,
  call,
  carol,
  failure,
  fundedEscrow,
  ledger,
  PASSPHRASE,
  run,
  SEED,
  START,
  token,
  xlm,
} from './contracts-support.ts';

describe('payouts', () => {
  test('a dispute pays out exactly what was given, whatever the amounts and the fee', () => {
    const part = fc.bigInt({ min: 1n, max: 10n ** 9n });
    fc.assert(
      fc.property(part, part, fc.integer({ min: 0, max: 9_900 }), (toBob, toCarol, fee) => {
        const state = ledger();
        const contract = fundedEscrow(state, 'mainnet', toBob + toCarol, fee);
        expect(failure(run(state, bob, contract, 'dispute_escrow', [address.encode(bob)]))).toBe('ok');
        const parts = [bob, carol]
          .map((holder, index): [string, bigint] => [holder, index === 0 ? toBob : toCarol])
          .sort(([a], [b]) => Buffer.compare(address.encode(a).toXdr(), address.encode(b).toXdr()));
        const outcome = run(state, alice, contract, 'resolve_dispute', [
          address.encode(alice),
          distributionMap.encode(parts),
        ]);
        expect(failure(outcome)).toBe('ok');
        const paid = outcome.events.flatMap(({ contract: emitter, data }) =>
          emitter === token ? [i128.decode(data)] : [],
        );
        expect(paid.every((amount) => amount > 0n)).toBe(true);
        expect(paid.reduce((sum, amount) => sum + amount, 0n)).toBe(toBob + toCarol);
        const left = run(state, alice, token, 'balance', [address.encode(contract)]);
        expect(left.ok && i128.decode(left.result)).toBe(0n);
        expect(balance(state, bob) - START <= toBob && balance(state, carol) - START <= toCarol).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('texts that are no UTF-8 survive in the state byte for byte', () => {
    const bytes = xdr.ScVal.scvString(new Uint8Array([0xff, 0x00, 0x80]));
    expect(string.encode(string.decode(bytes)).toXdr('base64')).toBe(bytes.toXdr('base64'));
  });
});

describe('anything a transaction can contain', () => {
  const leaf = fc.oneof(
    fc.boolean().map((value) => xdr.ScVal.scvBool(value)),
    fc.nat({ max: 5 }).map((value) => xdr.ScVal.scvU32(value)),
    fc.bigInt({ min: -(1n << 127n), max: (1n << 127n) - 1n }).map((value) => i128.encode(value)),
    fc.uint8Array({ maxLength: 40 }).map((value) => xdr.ScVal.scvString(value)),
    fc.uint8Array({ maxLength: 40 }).map((value) => xdr.ScVal.scvBytes(value)),
    fc.constantFrom('amount', 'roles', 'x').map((value) => xdr.ScVal.scvSymbol(value)),
    fc
      .constantFrom(alice, token, new MuxedAccount(new Account(bob, '0'), '7').accountId())
      .map((value) => address.encode(value)),
    fc.constant(xdr.ScVal.scvVoid()),
    fc.constant(xdr.ScVal.scvVec(null)),
    fc.constant(xdr.ScVal.scvLedgerKeyContractInstance()),
    fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((id) => xdr.ScVal.scvAddress(xdr.ScAddress.scAddressTypeLiquidityPool(new xdr.PoolId(id)))),
  );
  const entry = (value: xdr.ScVal) => fc.array(fc.tuple(leaf, fc.constant(value)), { maxLength: 4 });
  const anyValue = leaf.chain((value) =>
    fc.oneof(
      leaf,
      fc.array(leaf, { maxLength: 4 }).map((items) => xdr.ScVal.scvVec(items)),
      entry(value).map((pairs) => xdr.ScVal.scvMap(pairs.map(([key, val]) => new xdr.ScMapEntry({ key, val })))),
    ),
  );

  test('ends in an outcome, and a failed call leaves the ledger as it was', () => {
    const state = ledger();
    const escrow = fundedEscrow(state, 'testnet', 10_000n, 100);
    const { factories } = deploymentOf({
      networkPassphrase: PASSPHRASE,
      seed: SEED,
      line: 'testnet',
      feeWallet: carol,
    });
    const functions = [
      'transfer',
      'balance',
      'mint',
      'clawback',
      'burn',
      'fund_escrow',
      'update_escrow',
      'initialize_escrow',
      'resolve_dispute',
      'release_funds',
      'approve_milestone',
      'change_milestone_status',
      'get_multiple_escrow_balances',
      'get_escrow_by_contract_id',
      'extend_contract_ttl',
      'tw_new_single_release_escrow',
      'tw_new_multi_release_escrow',
      '__constructor',
      'constructor',
      'toString',
    ];
    const target = fc.constantFrom(escrow, token, xlm, factories.single, factories.multi, alice);
    const before = JSON.stringify([...state.entries], (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    fc.assert(
      fc.property(
        target,
        fc.constantFrom(...functions),
        fc.array(anyValue, { maxLength: 6 }),
        (contract, fnName, args) => {
          const view = openView(state, 11, 55);
          const outcome = invokeHostFunction(view, {
            hostFunction: call(contract, fnName, args),
            source: alice,
            mode: 'record',
            auth: [],
          });
          expect(outcome.ok || /^Error\(\w+, #?\w+\)$/.test(outcome.raw)).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
    const after = JSON.stringify([...state.entries], (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    expect(after).toBe(before);
  });
});
