/** A ledger with the contracts and four wallets, without transactions around the calls. */
import { expect } from '@jest/globals';
import { Address, Keypair, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import { createHash } from 'node:crypto';
import {
  deployedId,
  deploymentOf,
  genesisContracts,
  invokeHostFunction,
  sacId,
} from '../../sandbox/contracts/index.ts';
import { address, i128 } from '../../sandbox/contracts/scval.ts';
import { type SingleEscrow, singleEscrow } from '../../sandbox/contracts/single.ts';
import { genesisAccounts, writeGenesis } from '../../sandbox/core/genesis.ts';
import { newAccount } from '../../sandbox/core/operations/accounts.ts';
import { createState, openView, type State } from '../../sandbox/core/state.ts';
import type { InvokeOutcome } from '../../sandbox/core/types.ts';

export const SEED = 'contracts test';
export const PASSPHRASE = 'Contracts Test Network';
export const START = 1_000n * 10_000_000n;
export const genesis = genesisAccounts(SEED);
export const { usdc } = genesis;
export const issuer = genesis.issuer.publicKey();
export const token = sacId(PASSPHRASE, usdc);
export const xlm = sacId(PASSPHRASE, 'native');
export const keyOf = (name: string): Keypair => Keypair.fromRawEd25519Seed(createHash('sha256').update(name).digest());
export const wallet = (name: string): string => keyOf(name).publicKey();
export const [alice, bob, carol, platform] = ['alice', 'bob', 'carol', 'platform'].map(wallet) as [
  string,
  string,
  string,
  string,
];

/** A ledger with four wallets that hold 1 000 USDC and 100 XLM each. */
export function ledger(): State {
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

export const call = (contract: string, fn: string, args: xdr.ScVal[]): xdr.HostFunction =>
  xdr.HostFunction.hostFunctionTypeInvokeContract(
    new xdr.InvokeContractArgs({ contractAddress: new Address(contract).toScAddress(), functionName: fn, args }),
  );

/** Runs a call on the next ledger and keeps what it did if it succeeded. */
export function run(
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

export const failure = (outcome: InvokeOutcome): string => (outcome.ok ? 'ok' : `${outcome.at} ${outcome.raw}`);
export const balance = (state: State, holder: string): bigint =>
  openView(state, 11, 55).trustline(holder, usdc)?.balance ?? 0n;
export const topics = (outcome: InvokeOutcome): unknown[] =>
  outcome.events.map((event) => event.topics.map((topic) => scValToNative(topic) as unknown));

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
export function fundedEscrow(state: State, line: 'mainnet' | 'testnet', amount: bigint, fee: number): string {
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
