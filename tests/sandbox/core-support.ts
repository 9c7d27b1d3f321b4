/** A ledger core closed by hand, and the few words its tests are written in. */
import {
  Account,
  Asset,
  type Keypair,
  Operation,
  type Transaction,
  TransactionBuilder,
  type xdr,
} from '@stellar/stellar-sdk/base';
import { genesisContracts, invokeHostFunction } from '../../sandbox/contracts/index.ts';
import { closeTimeOf, MANUAL_GENESIS_TIME } from '../../sandbox/control/clock.ts';
import { createCore, type SandboxCore } from '../../sandbox/core/core.ts';
import { derivedKey, genesisAccounts, writeGenesis } from '../../sandbox/core/genesis.ts';
import { type Journal, noJournal } from '../../sandbox/core/journal.ts';
import { type ResultCodes, resultCodes } from '../../sandbox/core/results.ts';
import type { InvokeHostFunction, SubmitResult, TransactionRecord } from '../../sandbox/core/types.ts';

export const PASSPHRASE = 'Orchestrator Sandbox ; 2026';
export const SEED = 'core-tests';
export const accounts = genesisAccounts(SEED);
export const USDC = new Asset('USDC', accounts.issuer.publicKey());

export const key = (name: string): Keypair => derivedKey(SEED, `test/${name}`);

export function openCore(
  journal: Journal = noJournal(),
  seed = SEED,
  invoke: InvokeHostFunction = invokeHostFunction,
): SandboxCore {
  const own = genesisAccounts(seed);
  return createCore({
    origin: journal.found?.origin ?? { network_passphrase: PASSPHRASE, seed, genesis_time: MANUAL_GENESIS_TIME },
    journal,
    invoke,
    genesis: (view) => {
      writeGenesis(view, own);
      genesisContracts(view, { seed, usdc: own.usdc });
    },
    closeTime: (previous) => closeTimeOf({ mode: 'manual', ledgerMs: 0 }, previous),
  });
}

export interface Build {
  readonly fee?: string;
  readonly sequence?: bigint;
  readonly timebounds?: { minTime: number; maxTime: number };
  readonly ledgerbounds?: { minLedger: number; maxLedger: number };
  readonly signers?: readonly Keypair[];
}

/** A signed transaction of `source`, with its next sequence number unless another is given. */
export function build(
  core: SandboxCore,
  source: Keypair,
  operations: readonly xdr.Operation[],
  options: Build = {},
): Transaction {
  const next = (core.view().account(source.publicKey())?.sequence ?? 0n) + 1n;
  const sequence = options.sequence ?? next;
  const builder = new TransactionBuilder(new Account(source.publicKey(), String(sequence - 1n)), {
    fee: options.fee ?? '100',
    networkPassphrase: core.networkPassphrase,
    timebounds: options.timebounds ?? { minTime: 0, maxTime: 0 },
    ...(options.ledgerbounds === undefined ? {} : { ledgerbounds: options.ledgerbounds }),
  });
  for (const operation of operations) builder.addOperation(operation);
  const transaction = builder.build();
  for (const signer of options.signers ?? [source]) transaction.sign(signer);
  return transaction;
}

export const bump = (payer: Keypair, baseFee: string, inner: Transaction, passphrase = PASSPHRASE) => {
  const outer = TransactionBuilder.buildFeeBumpTransaction(payer, baseFee, inner, passphrase);
  outer.sign(payer);
  return outer;
};

export const submit = (core: SandboxCore, transaction: { toXdr(): string }): SubmitResult =>
  core.submit(transaction.toXdr());

/** Submits and closes; the record of what was applied. */
export function apply(core: SandboxCore, transaction: { toXdr(): string }): TransactionRecord {
  const outcome = submit(core, transaction);
  if (outcome.status !== 'PENDING') throw new Error(`not queued: ${JSON.stringify(outcome)}`);
  core.closeLedger();
  const record = core.transaction(outcome.hash);
  if (record === undefined) throw new Error('not applied');
  return record;
}

/** Result codes of what was refused before the ledger. */
export function refusal(outcome: SubmitResult): ResultCodes {
  if (outcome.status !== 'ERROR') throw new Error(`not refused: ${outcome.status}`);
  return resultCodes(outcome.errorResultXdr);
}

export const codes = (record: TransactionRecord): ResultCodes => resultCodes(record.resultXdr);

/** Accounts with 1 000 XLM each; with a USDC trustline and balance if `usdc` is given. */
export function fund(core: SandboxCore, keys: readonly Keypair[], usdc?: string): void {
  const create = keys.map((one) => Operation.createAccount({ destination: one.publicKey(), startingBalance: '1000' }));
  apply(core, build(core, accounts.friendbot, create));
  if (usdc === undefined) return;
  for (const one of keys) submit(core, build(core, one, [Operation.changeTrust({ asset: USDC })]));
  core.closeLedger();
  const pay = keys.map((one) => Operation.payment({ destination: one.publicKey(), asset: USDC, amount: usdc }));
  if (Number(usdc) > 0) apply(core, build(core, accounts.issuer, pay));
}

export const usdcOf = (core: SandboxCore, one: Keypair): bigint | undefined =>
  core.view().trustline(one.publicKey(), accounts.usdc)?.balance;

export const xlmOf = (core: SandboxCore, one: Keypair): bigint | undefined =>
  core.view().account(one.publicKey())?.balance;
