/** Rules of the asset contract and of authorisation that the recorded calls do not reach, and the second ABI line. */
import { describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  Account,
  Address,
  Asset,
  authorizeEntry,
  Keypair,
  MuxedAccount,
  scValToNative,
  xdr,
} from '@stellar/stellar-sdk/base';
import fc from 'fast-check';
import {
  deployedId,
  deploymentOf,
  genesisContracts,
  invokeHostFunction,
  sacId,
  simulateCall,
} from '../../sandbox/contracts/index.ts';
import { address, distributionMap, i128, string, u32 } from '../../sandbox/contracts/scval.ts';
import { type SingleEscrow, singleEscrow } from '../../sandbox/contracts/single.ts';
import { writeGenesis, genesisAccounts } from '../../sandbox/core/genesis.ts';
import { newAccount } from '../../sandbox/core/operations/accounts.ts';
import { createState, openView, type State } from '../../sandbox/core/state.ts';
import type { InvokeOutcome } from '../../sandbox/core/types.ts';

const SEED = 'contracts test';
const PASSPHRASE = 'Contracts Test Network';
const START = 1_000n * 10_000_000n;
const genesis = genesisAccounts(SEED);
const { usdc } = genesis;
const issuer = genesis.issuer.publicKey();
const token = sacId(PASSPHRASE, usdc);
const xlm = sacId(PASSPHRASE, 'native');
const keyOf = (name: string): Keypair => Keypair.fromRawEd25519Seed(createHash('sha256').update(name).digest());
const wallet = (name: string): string => keyOf(name).publicKey();
const [alice, bob, carol, platform] = ['alice', 'bob', 'carol', 'platform'].map(wallet) as [
  string,
  string,
  string,
  string,
];

/** A ledger with four wallets that hold 1 000 USDC and 100 XLM each. */
function ledger(): State {
  const state = createState(PASSPHRASE, 0);
  const view = openView(state, 10, 50);
  writeGenesis(view, genesis);
  genesisContracts(view, { seed: SEED, usdc });
  for (const id of [alice, bob, carol, platform]) {
    view.putAccount({ ...newAccount(view, id, 100n * 10_000_000n), subentries: 1 });
    const line = { account: id, asset: usdc, balance: START, limit: 1n << 60n, flags: 1 | 4, sponsor: null };
    view.putTrustline({ ...line, lastModified: 10 });
  }
  view.commit();
  return state;
}

type Given = { readonly mode: 'record' | 'enforce'; readonly auth: readonly xdr.SorobanAuthorizationEntry[] };

const call = (contract: string, fn: string, args: xdr.ScVal[]): xdr.HostFunction =>
  xdr.HostFunction.hostFunctionTypeInvokeContract(
    new xdr.InvokeContractArgs({ contractAddress: new Address(contract).toScAddress(), functionName: fn, args }),
  );

/** Runs a call on the next ledger and keeps what it did if it succeeded. */
function run(
  state: State,
  source: string,
  contract: string,
  fn: string,
  args: xdr.ScVal[],
  given: Given = { mode: 'record', auth: [] },
): InvokeOutcome {
  const view = openView(state, 11, 55);
  const outcome = invokeHostFunction(view, { hostFunction: call(contract, fn, args), source, ...given });
  if (outcome.ok) view.commit();
  return outcome;
}

const failure = (outcome: InvokeOutcome): string => (outcome.ok ? 'ok' : `${outcome.at} ${outcome.raw}`);
const balance = (state: State, holder: string): bigint =>
  openView(state, 11, 55).trustline(holder, usdc)?.balance ?? 0n;
const topics = (outcome: InvokeOutcome): unknown[] =>
  outcome.events.map((event) => event.topics.map((topic) => scValToNative(topic) as unknown));

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

const escrowOf = (amount: bigint, fee: number): SingleEscrow => ({
  amount,
  description: '',
  engagement_id: 'E-1',
  flags: { disputed: false, released: false, resolved: false },
  milestones: [{ approved: false, description: '', evidence: '', status: 'pending' }],
  platform_fee: fee,
  receiver_memo: 0,
  roles: {
    approver: alice,
    dispute_resolver: alice,
    platform,
    receiver: bob,
    release_signer: alice,
    service_provider: bob,
  },
  title: 'T',
  trustline: { address: token },
});

/** Deploys and funds an escrow of a line; returns its address. */
function fundedEscrow(state: State, line: 'mainnet' | 'testnet', amount: bigint, fee: number): string {
  const deployment = deploymentOf({ networkPassphrase: PASSPHRASE, seed: SEED, line, feeWallet: carol });
  const escrow = singleEscrow.encode(escrowOf(amount, fee));
  const salt = createHash('sha256').update(`${line}${amount}${fee}`).digest();
  const outcome = run(state, alice, deployment.factories.single, 'tw_new_single_release_escrow', [
    address.encode(alice),
    xdr.ScVal.scvBytes(new Uint8Array(Buffer.from(deployment.wasmHashes.single, 'hex'))),
    xdr.ScVal.scvBytes(new Uint8Array(salt)),
    xdr.ScVal.scvSymbol('initialize_escrow'),
    xdr.ScVal.scvVec([escrow]),
    xdr.ScVal.scvVec([]),
  ]);
  expect(failure(outcome)).toBe('ok');
  const contract = deployedId(PASSPHRASE, deployment.factories.single, salt);
  expect(
    failure(run(state, alice, contract, 'fund_escrow', [address.encode(alice), escrow, i128.encode(amount)])),
  ).toBe('ok');
  return contract;
}

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
