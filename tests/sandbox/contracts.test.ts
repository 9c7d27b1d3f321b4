/** Rules of the asset contract and of authorisation that the recorded calls do not reach, and the second ABI line. */
import { describe, expect, test } from '@jest/globals';
import {
  Account,
  Asset,
  authorizeEntry,
  type Keypair,
  MuxedAccount,
  scValToNative,
  xdr,
} from '@stellar/stellar-sdk/base';
import { deployedId, invokeHostFunction, simulateCall } from '../../sandbox/contracts/index.ts';
import { address, i128, u32 } from '../../sandbox/contracts/scval.ts';
import { openView, type State } from '../../sandbox/core/state.ts';
import type { InvokeOutcome } from '../../sandbox/core/types.ts';
import {
  alice,
  balance,
  bob,
  call,
  carol,
  failure,
  fundedEscrow,
  issuer,
  keyOf,
  ledger,
  PASSPHRASE,
  platform,
  run,
  START,
  token,
  topics,
  usdc,
  wallet,
  xlm,
} from './contracts-support.ts';

describe('the asset contract', () => {
  test('minting, burning and clawback are the issuer’s and show as such', () => {
    const state = ledger();
    expect(topics(run(state, issuer, token, 'mint', [address.encode(alice), i128.encode(5n)]))).toEqual([
      ['mint', alice, usdc],
    ]);
    expect(topics(run(state, alice, token, 'burn', [address.encode(alice), i128.encode(2n)]))).toEqual([
      ['burn', alice, usdc],
    ]);
    expect(topics(run(state, issuer, token, 'clawback', [address.encode(alice), i128.encode(3n)]))).toEqual([
      ['clawback', alice, usdc],
    ]);
    expect(balance(state, alice)).toBe(START);
    const foreign = run(state, bob, token, 'mint', [address.encode(bob), i128.encode(5n)], {
      mode: 'enforce',
      auth: [],
    });
    expect(failure(foreign)).toBe('sac Error(Auth, InvalidAction)');
  });

  test('XLM moves down to the reserve and no further, and has no issuer to mint it', () => {
    const state = ledger();
    const spendable = 100n * 10_000_000n - 3n * 5_000_000n;
    const send = (amount: bigint) =>
      run(state, alice, xlm, 'transfer', [address.encode(alice), address.encode(bob), i128.encode(amount)]);
    expect(failure(send(spendable + 1n))).toBe('sac Error(Contract, #10)');
    expect(failure(send(spendable))).toBe('ok');
    expect(failure(run(state, alice, xlm, 'mint', [address.encode(alice), i128.encode(1n)]))).toBe(
      'sac Error(Contract, #2)',
    );
    const nobody = [address.encode(alice), address.encode(wallet('nobody')), i128.encode(0n)];
    expect(failure(run(state, alice, xlm, 'transfer', nobody))).toBe('sac Error(Contract, #6)');
  });

  test('a muxed receiver is paid at its account and named with its id in the event', () => {
    const state = ledger();
    const muxed = new MuxedAccount(new Account(bob, '0'), '77').accountId();
    const outcome = run(state, alice, token, 'transfer', [
      address.encode(alice),
      address.encode(muxed),
      i128.encode(9n),
    ]);
    expect(topics(outcome)).toEqual([['transfer', alice, bob, usdc]]);
    const [event] = outcome.events;
    expect(event === undefined ? undefined : scValToNative(event.data)).toEqual({ amount: 9n, to_muxed_id: 77n });
    expect(balance(state, bob)).toBe(START + 9n);
    const back = run(state, bob, token, 'transfer', [address.encode(muxed), address.encode(alice), i128.encode(9n)]);
    expect(failure(back)).toBe('sac Error(WasmVm, InvalidAction)');
  });

  test('what is not modelled is refused, never ignored', () => {
    const state = ledger();
    const approve = [address.encode(alice), address.encode(bob), i128.encode(1n), u32.encode(99)];
    expect(failure(run(state, alice, token, 'approve', approve))).toBe('sac Error(Value, InvalidInput)');
    const view = openView(state, 11, 55);
    const upload = xdr.HostFunction.hostFunctionTypeUploadContractWasm(new Uint8Array(8));
    const outcome = invokeHostFunction(view, { hostFunction: upload, source: alice, mode: 'record', auth: [] });
    expect(failure(outcome)).toBe('host Error(WasmVm, InvalidAction)');
    expect(failure(run(state, alice, deployedId(PASSPHRASE, token, new Uint8Array(32)), 'get_escrow', []))).toBe(
      'host Error(Storage, MissingValue)',
    );
  });

  test('an asset’s contract is created once, at the address the network derives', () => {
    const state = ledger();
    const asset = new Asset('EURC', issuer);
    const create = (): InvokeOutcome => {
      const view = openView(state, 11, 55);
      const preimage = xdr.ContractIdPreimage.contractIdPreimageFromAsset(asset.toXdrObject());
      const executable = xdr.ContractExecutable.contractExecutableStellarAsset();
      const args = new xdr.CreateContractArgs({ contractIdPreimage: preimage, executable });
      const hostFunction = xdr.HostFunction.hostFunctionTypeCreateContract(args);
      const outcome = invokeHostFunction(view, { hostFunction, source: alice, mode: 'record', auth: [] });
      if (outcome.ok) view.commit();
      return outcome;
    };
    const outcome = create();
    expect(outcome.ok && address.decode(outcome.result)).toBe(asset.contractId(PASSPHRASE));
    expect(failure(create())).toBe('host Error(Storage, ExistingValue)');
  });
});

describe('authorisation', () => {
  const transfer = [address.encode(alice), address.encode(bob), i128.encode(7n)];

  /** Entry that bob's transaction needs from alice, signed by whoever is asked. */
  async function entry(state: State, signer: Keypair, until: number, kind: 'address' | 'addressV2' = 'addressV2') {
    const simulated = simulateCall(
      openView(state, 11, 55),
      { hostFunction: call(token, 'transfer', transfer), source: bob, auth: [] },
      'record',
      kind,
    );
    if (!simulated.ok) throw new Error(simulated.raw);
    const [recorded] = simulated.auth;
    if (recorded === undefined) throw new Error('nothing recorded');
    return authorizeEntry(recorded, signer, until, PASSPHRASE, alice);
  }

  test.each(['address', 'addressV2'] as const)(
    'a signed entry (%s) counts once, for exactly this call',
    async (kind) => {
      const state = ledger();
      const signed = await entry(state, keyOf('alice'), 100, kind);
      const other = [address.encode(alice), address.encode(bob), i128.encode(8n)];
      const given = { mode: 'enforce', auth: [signed] } as const;
      expect(failure(run(state, bob, token, 'transfer', other, given))).toBe('sac Error(Auth, InvalidAction)');
      expect(failure(run(state, bob, token, 'transfer', transfer, given))).toBe('ok');
      expect(failure(run(state, bob, token, 'transfer', transfer, given))).toBe('sac Error(Auth, ExistingValue)');
      expect(balance(state, bob)).toBe(START + 7n);
    },
  );

  test('an expired entry, a tampered one and one without its signature are refused', async () => {
    const state = ledger();
    const outcome = (auth: xdr.SorobanAuthorizationEntry) =>
      failure(run(state, bob, token, 'transfer', transfer, { mode: 'enforce', auth: [auth] }));
    expect(outcome(await entry(state, keyOf('alice'), 10))).toBe('sac Error(Auth, InvalidInput)');
    const signed = await entry(state, keyOf('alice'), 100);
    if (signed.credentials.type !== 'sorobanCredentialsAddressV2') throw new Error('unexpected credentials');
    const { address: holder, nonce, signature } = signed.credentials.value;
    const changed = (fields: { nonce: bigint; signature: xdr.ScVal }) => {
      const content = new xdr.SorobanAddressCredentials({ address: holder, signatureExpirationLedger: 100, ...fields });
      const credentials = xdr.SorobanCredentials.sorobanCredentialsAddressV2(content);
      return new xdr.SorobanAuthorizationEntry({ credentials, rootInvocation: signed.rootInvocation });
    };
    expect(outcome(changed({ nonce: nonce + 1n, signature }))).toBe('sac Error(Auth, InvalidAction)');
    expect(outcome(changed({ nonce, signature: xdr.ScVal.scvVoid() }))).toBe('sac Error(Auth, InvalidAction)');
    expect(outcome(changed({ nonce, signature: xdr.ScVal.scvVec([]) }))).toBe('sac Error(Auth, InvalidAction)');
    expect(balance(state, bob)).toBe(START);
  });

  test('a transaction’s source consents only through an entry for the source', () => {
    const state = ledger();
    expect(failure(run(state, alice, token, 'transfer', transfer, { mode: 'enforce', auth: [] }))).toBe(
      'sac Error(Auth, InvalidAction)',
    );
    const recorded = simulateCall(openView(state, 11, 55), {
      hostFunction: call(token, 'transfer', transfer),
      source: alice,
      auth: [],
    });
    if (!recorded.ok) throw new Error(recorded.raw);
    expect(failure(run(state, alice, token, 'transfer', transfer, { mode: 'enforce', auth: recorded.auth }))).toBe(
      'ok',
    );
  });
});

describe('the testnet line', () => {
  test('release names the fee wallet and pays it', () => {
    const state = ledger();
    const contract = fundedEscrow(state, 'testnet', 10_000n, 100);
    expect(failure(run(state, alice, contract, 'approve_milestone', [u32.encode(0), address.encode(alice)]))).toBe(
      'ok',
    );
    expect(failure(run(state, alice, contract, 'release_funds', [address.encode(alice)]))).toBe(
      'escrow Error(WasmVm, UnexpectedSize)',
    );
    expect(failure(run(state, alice, contract, 'release_funds', [address.encode(alice), address.encode(carol)]))).toBe(
      'ok',
    );
    expect(balance(state, carol) - START).toBe(30n);
    expect(balance(state, platform) - START).toBe(100n);
    expect(balance(state, bob) - START).toBe(9_870n);
  });
});
