/** The ledger on which recorded calls are replayed: actors with their balances, the asset contract, the factories. */
import { createHash } from 'node:crypto';
import { xdr } from '@stellar/stellar-sdk/base';
import { type CoreView, createState, openView, type State } from '../core/state.ts';
import type { InvokeOutcome } from '../core/types.ts';
import { createInstance, INSTANCE_KEY, invokeHostFunction } from '../contracts/host.ts';
import { ESCROW_KEY } from '../contracts/escrow.ts';
import { balanceKey } from '../contracts/sac.ts';
import { i128 } from '../contracts/scval.ts';

export interface Meta {
  readonly wasmSha256: string;
  readonly networkPassphrase: string;
  readonly asset: string;
  readonly addresses: Readonly<Record<string, string>>;
}

/** Stroops by name (`@funder`); null without a trustline. */
export type Balances = Readonly<Record<string, string | null>>;

const AUTHORIZED = 1;
const I64_MAX = 9_223_372_036_854_775_807n;
const FULL_LIMIT = 100n;
const FOREVER = 0xffff_ffff;
const BASE_LEDGER = 60_000_000;

/** Balances of every sequence in the random files. */
export function standardBalances(meta: Meta): Balances {
  const special: Balances = {
    '@funder': '100000000000000',
    '@funder2': '100000000000000',
    '@poor': '5',
    '@frozen': '1000',
    '@full': '100',
    '@noTrust': null,
    '@noAccount': null,
  };
  const holders = Object.keys(meta.addresses).filter((name) => !/^(factory2?|sac|issuer|twTestnet)$/.test(name));
  return Object.fromEntries(
    holders.map((name) => [`@${name}`, special[`@${name}`] ?? (`@${name}` in special ? null : '0')]),
  );
}

/** A scenario's ledger and the names of its addresses; escrows get theirs as they are deployed. */
export interface World {
  readonly meta: Meta;
  readonly state: State;
  /** name (`@funder`) → address */
  readonly names: Map<string, string>;
  nameOf(address: string): string;
  /** Balances of all named addresses; null without a trustline or account. */
  balances(): Map<string, bigint | null>;
  /** SHA-256 (hex) of the escrow state's ScVal XDR; null without one */
  stateHash(contract: string): string | null;
  storedEscrow(contract: string): xdr.ScVal | undefined;
  ttl(contract: string, ledger: number): number | null;
  /** Executes and, when it succeeds, keeps the changes. */
  run(ledger: number, call: Parameters<typeof invokeHostFunction>[1]): { outcome: InvokeOutcome; view: CoreView };
}

export function createWorld(meta: Meta, balances: Balances): World {
  const state = createState(meta.networkPassphrase, 0);
  const names = new Map(Object.entries(meta.addresses).map(([name, address]) => [`@${name}`, address]));
  populate(openView(state, BASE_LEDGER, 0), meta, balances);
  const read = () => openView(state, BASE_LEDGER, 0);
  const storedEscrow = (contract: string) => {
    const entry = read().contractData(contract, ESCROW_KEY);
    return entry === undefined ? undefined : xdr.ScVal.fromXdr(entry.value, 'base64');
  };
  return {
    meta,
    state,
    names,
    nameOf: (address) => [...names].find(([, known]) => known === address)?.[0] ?? address,
    balances() {
      const view = read();
      return new Map([...names].map(([name, address]) => [name, balanceOf(view, meta, address)]));
    },
    storedEscrow,
    stateHash(contract) {
      const stored = storedEscrow(contract);
      return stored === undefined ? null : sha256Hex(stored.toXdr());
    },
    ttl(contract, ledger) {
      const entry = read().contractData(contract, ESCROW_KEY);
      return entry === undefined ? null : entry.liveUntil - ledger;
    },
    run(ledger, call) {
      const view = openView(state, ledger, ledger * 5);
      const outcome = invokeHostFunction(view, call);
      if (outcome.ok) view.commit();
      return { outcome, view };
    },
  };
}

function balanceOf(view: CoreView, meta: Meta, address: string): bigint | null {
  if (address.startsWith('G')) return view.trustline(address, meta.asset)?.balance ?? null;
  const entry = view.contractData(meta.addresses['sac'] ?? '', balanceKey(address));
  const value = entry === undefined ? undefined : xdr.ScVal.fromXdr(entry.value, 'base64');
  return value?.type === 'scvMap' ? i128.decode(value.map?.[0]?.val ?? xdr.ScVal.scvVoid()) : 0n;
}

export const sha256Hex = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

function populate(view: CoreView, meta: Meta, balances: Balances): void {
  view.registerAsset(meta.asset);
  for (const [name, address] of Object.entries(meta.addresses)) {
    if (address.startsWith('C') || name === 'noAccount') continue;
    view.putAccount({
      id: address,
      balance: 100_000_000_000n,
      sequence: 0n,
      sequenceLedger: 0,
      sequenceTime: 0,
      subentries: 1,
      sponsoring: 0,
      sponsored: 0,
      sponsor: null,
      flags: 0,
      homeDomain: '',
      thresholds: { master: 1, low: 0, med: 0, high: 0 },
      signers: [],
      data: {},
      lastModified: BASE_LEDGER,
    });
    const balance = balances[`@${name}`];
    if (balance === null || balance === undefined) continue;
    view.putTrustline({
      account: address,
      asset: meta.asset,
      balance: BigInt(balance),
      limit: name === 'full' ? FULL_LIMIT : I64_MAX,
      flags: name === 'frozen' ? 0 : AUTHORIZED,
      sponsor: null,
      lastModified: BASE_LEDGER,
    });
  }
  const install = (contract: string | undefined, executable: xdr.ContractExecutable) => {
    if (contract === undefined) return;
    createInstance(view, contract, executable);
    const entry = view.contractData(contract, INSTANCE_KEY);
    if (entry !== undefined) view.putContractData({ ...entry, liveUntil: FOREVER });
  };
  const wasm = xdr.ContractExecutable.contractExecutableWasm(meta.wasmSha256);
  install(meta.addresses['factory'], wasm);
  install(meta.addresses['factory2'], wasm);
  install(meta.addresses['sac'], xdr.ContractExecutable.contractExecutableStellarAsset());
  view.commit();
}
