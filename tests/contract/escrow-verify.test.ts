/** One test per way to tamper with an envelope (F18): nothing but the exact call passes. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  Account,
  Address,
  Asset,
  Keypair,
  Memo,
  Operation,
  SorobanDataBuilder,
  TransactionBuilder,
  nativeToScVal,
  xdr,
} from '@stellar/stellar-sdk/base';
import type { EscrowCall, EscrowTerms } from '../../domain/chain.ts';
import { expectedAuth, expectedInvocation, initialEscrow } from '../../providers/escrow/invocation.ts';
import type { Verdict, VerifyContext } from '../../providers/escrow/port.ts';
import { verifyEnvelope } from '../../providers/escrow/verify.ts';

const PASSPHRASE = 'A network of its own ; 2026';
const key = (name: string): Keypair => Keypair.fromRawEd25519Seed(createHash('sha256').update(name).digest());
const wallet = (name: string): string => key(name).publicKey();
const contract = (name: string): string => Address.contract(createHash('sha256').update(name).digest()).toString();

const asset = { code: 'USDC', issuer: wallet('issuer') };
const assetContract = new Asset(asset.code, asset.issuer).contractId(PASSPHRASE);
const CHAIN_TIME = 1_800_000_000;
const SALT = new Uint8Array(32).fill(7);

const terms: EscrowTerms = {
  type: 'SINGLE_RELEASE',
  engagementId: 'esc_1',
  title: 'Logo',
  description: 'Three drafts — é',
  roles: {
    approver: wallet('buyer'),
    serviceProvider: wallet('seller'),
    platform: wallet('fees'),
    releaseSigner: wallet('operator'),
    disputeResolver: wallet('resolver'),
  },
  receiver: wallet('seller'),
  amount: 2_500_000_001n,
  platformFeeBps: 50,
  asset,
  milestones: [{ description: 'all of it', amount: 2_500_000_001n, receiver: wallet('seller') }],
};
const stored = initialEscrow(terms, assetContract);

const context: VerifyContext = {
  networkPassphrase: PASSPHRASE,
  factory: { contractId: contract('factory'), wasmHash: 'ab'.repeat(32) },
  feeWalletArgument: null,
  assetContract,
  sequence: 41n,
  chainTime: CHAIN_TIME,
  escrowState: stored.toXdr('base64'),
  feeCap: 1_000_000n,
};

const deploy: EscrowCall = { fn: 'deploy', source: wallet('channel'), terms };
const fund: EscrowCall = {
  fn: 'fund',
  type: 'SINGLE_RELEASE',
  source: wallet('buyer'),
  contractId: contract('escrow'),
  amount: terms.amount,
};
const release: EscrowCall = {
  fn: 'release',
  type: 'SINGLE_RELEASE',
  source: wallet('operator'),
  contractId: contract('escrow'),
  milestoneIndex: null,
};

const resolve: Extract<EscrowCall, { fn: 'resolve_dispute' }> = {
  fn: 'resolve_dispute',
  type: 'SINGLE_RELEASE',
  source: wallet('resolver'),
  contractId: contract('escrow'),
  milestoneIndex: null,
  distributions: [
    { address: wallet('buyer'), amount: 400n },
    { address: wallet('seller'), amount: 600n },
  ],
};

interface Parts {
  source: string;
  sequence: bigint;
  fee: number;
  resourceFee: bigint;
  minTime: number;
  maxTime: number;
  memo: Memo;
  operations: xdr.Operation[];
  readWrite: xdr.LedgerKey[];
  extraSigners: string[];
}

const dataKey = (owner: string): xdr.LedgerKey =>
  xdr.LedgerKey.contractData(
    new xdr.LedgerKeyContractData({
      contract: new Address(owner).toScAddress(),
      key: xdr.ScVal.scvVec([xdr.ScVal.scvSymbol('Escrow')]),
      durability: xdr.ContractDataDurability.persistent,
    }),
  );

const invoke = (args: xdr.InvokeContractArgs, auth: xdr.SorobanAuthorizationEntry[], source?: string): xdr.Operation =>
  Operation.invokeHostFunction({
    func: xdr.HostFunction.hostFunctionTypeInvokeContract(args),
    auth,
    ...(source === undefined ? {} : { source }),
  });

const honest = (call: EscrowCall): { args: xdr.InvokeContractArgs; auth: xdr.SorobanAuthorizationEntry } => {
  const args = expectedInvocation(call, { ...context, salt: SALT });
  return { args, auth: expectedAuth(call, args, assetContract) };
};

/** The honest envelope of a call with some parts replaced. */
function envelope(call: EscrowCall, change: Partial<Parts> = {}): string {
  const { args, auth } = honest(call);
  const parts: Parts = {
    source: call.source,
    sequence: 42n,
    fee: 1_000,
    resourceFee: 60_000n,
    minTime: 0,
    maxTime: CHAIN_TIME + 300,
    memo: Memo.none(),
    operations: [invoke(args, [auth])],
    readWrite: call.fn === 'deploy' ? [] : [dataKey(call.contractId)],
    extraSigners: [],
    ...change,
  };
  const builder = new TransactionBuilder(new Account(parts.source, (parts.sequence - 1n).toString()), {
    fee: String(parts.fee),
    networkPassphrase: PASSPHRASE,
    memo: parts.memo,
    timebounds: { minTime: parts.minTime, maxTime: parts.maxTime },
    ...(parts.extraSigners.length > 0 ? { extraSigners: parts.extraSigners } : {}),
  });
  for (const operation of parts.operations) builder.addOperation(operation);
  const resources = new SorobanDataBuilder().setResourceFee(parts.resourceFee).setReadWrite(parts.readWrite).build();
  return builder.setSorobanData(resources).build().toXdr();
}

/** The fields in which a tampered envelope differs; fails when it does not. */
function differences(verdict: Verdict): string[] {
  if (verdict.verdict !== 'DIFFERENT') throw new Error(`expected DIFFERENT, got ${JSON.stringify(verdict, String)}`);
  return verdict.differences.map(({ field }) => field);
}

const withArgs = (call: EscrowCall, change: (args: xdr.ScVal[]) => xdr.ScVal[]): xdr.InvokeContractArgs => {
  const { args } = honest(call);
  const { contractAddress, functionName } = args;
  return new xdr.InvokeContractArgs({ contractAddress, functionName, args: change([...args.args]) });
};
const i128 = (value: bigint): xdr.ScVal => nativeToScVal(value, { type: 'i128' });

describe('the exact call', () => {
  test.each([deploy, fund, release, resolve])('$fn passes, with hash, sequence, bounds and fee', (call) => {
    const verdict = verifyEnvelope(envelope(call), call, context);
    expect(verdict).toMatchObject({ verdict: 'OK', sequence: 42n, maxTime: CHAIN_TIME + 300, fee: 61_000n });
    if (verdict.verdict !== 'OK') return;
    const hash = TransactionBuilder.fromXdr(envelope(call), PASSPHRASE).hash();
    expect(verdict.hash).toBe(Buffer.from(hash).toString('hex'));
    expect(verdict.contractId).toMatch(call.fn === 'deploy' ? /^C[A-Z2-7]{55}$/ : contract('escrow'));
  });

  test('passes with the fee wallet where this build of the contract takes it, and only there', () => {
    const testnet = { ...context, feeWalletArgument: wallet('trustless-work') };
    const args = expectedInvocation(release, { ...testnet, salt: null });
    const built = envelope(release, { operations: [invoke(args, [expectedAuth(release, args, assetContract)])] });
    expect(verifyEnvelope(built, release, testnet).verdict).toBe('OK');
    expect(differences(verifyEnvelope(built, release, context))).toContain('argument 1');
    const foreign = { ...testnet, feeWalletArgument: wallet('somebody') };
    expect(differences(verifyEnvelope(built, release, foreign))).toContain('argument 1');
  });
});

describe('a tampered envelope is refused', () => {
  test('another amount', () => {
    const args = withArgs(fund, (list) => [...list.slice(0, 2), i128(terms.amount + 1n)]);
    const verdict = verifyEnvelope(envelope(fund, { operations: [invoke(args, [honest(fund).auth])] }), fund, context);
    expect(differences(verdict)).toEqual(['argument 2']);
  });

  test('another contract, function or argument count', () => {
    const { args, auth } = honest(release);
    const { contractAddress, functionName } = args;
    const other = new xdr.InvokeContractArgs({
      contractAddress: new Address(contract('x')).toScAddress(),
      functionName,
      args: [...args.args],
    });
    const named = new xdr.InvokeContractArgs({ contractAddress, functionName: 'release_all', args: [...args.args] });
    const longer = withArgs(release, (list) => [...list, xdr.ScVal.scvVoid()]);
    const fields = [other, named, longer].map((changed) =>
      differences(verifyEnvelope(envelope(release, { operations: [invoke(changed, [auth])] }), release, context)),
    );
    expect(fields).toEqual([['contract'], ['function'], ['argument 1']]);
  });

  test('a deploy with another receiver, fee, amount, code or initialiser', () => {
    const stolen: EscrowTerms = { ...terms, receiver: wallet('thief') };
    const cheaper: EscrowTerms = { ...terms, platformFeeBps: 51 };
    const smaller: EscrowTerms = { ...terms, amount: terms.amount - 1n };
    for (const changed of [stolen, cheaper, smaller]) {
      const args = expectedInvocation({ ...deploy, terms: changed }, { ...context, salt: SALT });
      const built = envelope(deploy, { operations: [invoke(args, [expectedAuth(deploy, args, assetContract)])] });
      expect(differences(verifyEnvelope(built, deploy, context))).toContain('argument 4');
    }
    const code = withArgs(deploy, (list) => list.map((value, at) => (at === 1 ? xdr.ScVal.scvBytes(SALT) : value)));
    const init = withArgs(deploy, (list) => list.map((value, at) => (at === 3 ? xdr.ScVal.scvSymbol('own') : value)));
    for (const [args, field] of [
      [code, 'argument 1'],
      [init, 'argument 3'],
    ] as const) {
      const built = envelope(deploy, { operations: [invoke(args, [honest(deploy).auth])] });
      expect(differences(verifyEnvelope(built, deploy, context))).toContain(field);
    }
  });

  test('a resolution with another payee, another share, or one payee more', () => {
    const [buyer, seller] = resolve.distributions;
    for (const distributions of [
      [{ address: wallet('thief'), amount: 400n }, seller],
      [{ address: wallet('buyer'), amount: 401n }, seller],
      [buyer, seller, { address: wallet('thief'), amount: 1n }],
    ]) {
      const args = expectedInvocation({ ...resolve, distributions } as EscrowCall, { ...context, salt: null });
      const operations = [invoke(args, [expectedAuth(resolve, args, assetContract)])];
      expect(differences(verifyEnvelope(envelope(resolve, { operations }), resolve, context))).toContain('argument 1');
    }
  });

  test('an extra operation, another kind of operation, or none', () => {
    const { args, auth } = honest(fund);
    const payment = Operation.payment({ destination: wallet('thief'), asset: Asset.native(), amount: '1' });
    for (const operations of [[invoke(args, [auth]), payment], [payment], []]) {
      expect(differences(verifyEnvelope(envelope(fund, { operations }), fund, context))).toContain('operations');
    }
  });

  test('another source, also as the operation’s own', () => {
    const source = wallet('seller');
    expect(differences(verifyEnvelope(envelope(fund, { source }), fund, context))).toEqual(['source']);
    const { args, auth } = honest(fund);
    const built = envelope(fund, { operations: [invoke(args, [auth], source)] });
    expect(differences(verifyEnvelope(built, fund, context))).toEqual(['operation source']);
  });

  test('foreign, missing, doubled or widened authorisation', () => {
    const { args, auth } = honest(fund);
    const drain = new xdr.InvokeContractArgs({
      contractAddress: new Address(assetContract).toScAddress(),
      functionName: 'transfer',
      args: [new Address(wallet('buyer')).toScVal(), new Address(wallet('thief')).toScVal(), i128(1n)],
    });
    const foreign = expectedAuth(release, drain, assetContract);
    const widened = new xdr.SorobanAuthorizationEntry({
      credentials: auth.credentials,
      rootInvocation: new xdr.SorobanAuthorizedInvocation({
        function: auth.rootInvocation.function,
        subInvocations: [...auth.rootInvocation.subInvocations, foreign.rootInvocation],
      }),
    });
    for (const entries of [[foreign], [], [auth, auth], [auth, foreign], [widened]]) {
      const built = envelope(fund, { operations: [invoke(args, entries)] });
      expect(differences(verifyEnvelope(built, fund, context))).toEqual(['authorisation']);
    }
  });

  test('a memo, extra signers, no time limit or one too far away', () => {
    const fields = (change: Partial<Parts>): string[] =>
      differences(verifyEnvelope(envelope(fund, change), fund, context));
    expect(fields({ memo: Memo.text('x') })).toEqual(['memo']);
    expect(fields({ extraSigners: [wallet('thief')] })).toEqual(['preconditions']);
    expect(fields({ maxTime: 0 })).toEqual(['time bounds']);
    expect(fields({ maxTime: CHAIN_TIME + 901 })).toEqual(['time bounds']);
  });

  test('a fee above the cap, and writes to entries of others', () => {
    const fields = (change: Partial<Parts>): string[] =>
      differences(verifyEnvelope(envelope(fund, change), fund, context));
    expect(fields({ resourceFee: context.feeCap })).toEqual(['fee']);
    expect(fields({ readWrite: [dataKey(contract('somebody else'))] })).toEqual(['footprint']);
  });

  test('more writes than the call has entries; its payees are among them, and what was archived may be restored', () => {
    const trustlines = (count: number): xdr.LedgerKey[] =>
      Array.from({ length: count }, (_, index) =>
        xdr.LedgerKey.account(new xdr.LedgerKeyAccount({ accountId: key(`payee ${index}`).xdrPublicKey() })),
      );
    const fields = (call: EscrowCall, readWrite: xdr.LedgerKey[]) =>
      verifyEnvelope(envelope(call, { readWrite }), call, context);
    expect(differences(fields(release, trustlines(17)))).toEqual(['footprint']);
    expect(fields(resolve, trustlines(18))).toMatchObject({ verdict: 'OK' });
    const code = xdr.LedgerKey.contractCode(new xdr.LedgerKeyContractCode({ hash: 'ab'.repeat(32) }));
    expect(fields(deploy, [code, dataKey(context.factory.contractId)])).toMatchObject({ verdict: 'OK' });
  });

  test('an envelope that is signed, wrapped, not canonical or no envelope', () => {
    const built = envelope(fund);
    const signed = TransactionBuilder.fromXdr(built, PASSPHRASE);
    signed.sign(key('buyer'));
    for (const input of [signed.toXdr(), `${built}\n`, built.replace(/.{4}$/, ''), `${built}AAAA`, 'nonsense', '']) {
      expect(differences(verifyEnvelope(input, fund, context))).toEqual(['envelope']);
    }
  });
});

describe('an envelope that is only out of date is told apart', () => {
  test.each<[string, Partial<Parts>]>([
    ['used sequence', { sequence: 41n }],
    ['sequence ahead', { sequence: 43n }],
    ['expired', { maxTime: CHAIN_TIME - 1 }],
    ['about to expire', { maxTime: CHAIN_TIME + 9 }],
    ['not valid yet', { minTime: CHAIN_TIME + 5 }],
  ])('%s', (_name, change) => {
    expect(verifyEnvelope(envelope(fund, change), fund, context).verdict).toBe('STALE');
  });

  test('a snapshot of the escrow from before its last change', () => {
    const before = initialEscrow({ ...terms, description: 'earlier' }, assetContract).toXdr('base64');
    expect(verifyEnvelope(envelope(fund), fund, { ...context, escrowState: before }).verdict).toBe('STALE');
  });

  test('but what is different stays different, however old', () => {
    const verdict = verifyEnvelope(envelope(fund, { sequence: 41n, memo: Memo.text('x') }), fund, context);
    expect(differences(verdict)).toEqual(['memo']);
  });
});
