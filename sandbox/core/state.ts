/**
 * The ledger's entries and the forkable views on them. The state changes only when a whole ledger is adopted; every
 * transaction, operation and contract call works on a view and either commits it or drops it.
 */
import { accountKey, contractDataKey, sdkAsset, trustlineKey } from './keys.ts';
import type { AccountEntry, AssetId, ContractDataEntry, LedgerView, TrustlineEntry } from './types.ts';

type Entry = AccountEntry | TrustlineEntry | ContractDataEntry;

/** How many ledgers back the entries can be seen as they were. */
export const KEPT_LEDGERS = 64;

/** Half an XLM: what one subentry locks. */
export const BASE_RESERVE = 5_000_000n;

export interface State {
  readonly networkPassphrase: string;
  readonly entries: Map<string, Entry>;
  /** assets for which an account has a trustline */
  readonly trustlines: Map<string, Set<AssetId>>;
  /** Stellar Asset Contract address → asset, for every asset the ledger has seen */
  readonly assets: Map<string, AssetId>;
  /** ledger → what the entries were then that the next ledger changed; null did not exist */
  readonly before: Map<number, ReadonlyMap<string, Entry | null>>;
  /** of the latest closed ledger */
  sequence: number;
  closeTime: number;
}

/** A view with what only the core needs. */
export interface CoreView extends LedgerView {
  fork(): CoreView;
  /** A fork that records its own footprint, apart from its parent's. */
  isolate(): CoreView;
  /** Entry keys this view has changed so far, as `entryKey` makes them. */
  changed(): string[];
  /** Registers the asset's contract address without any entry of it. */
  registerAsset(asset: AssetId): string;
}

const accountEntry = (id: string) => `a|${id}`;
const trustlineEntry = (account: string, asset: AssetId) => `t|${account}|${asset}`;
const contractEntry = (contract: string, key: string) => `c|${contract}|${key}`;

export function createState(networkPassphrase: string, closeTime: number): State {
  const empty = { entries: new Map(), trustlines: new Map(), assets: new Map(), before: new Map() };
  return { networkPassphrase, ...empty, sequence: 1, closeTime };
}

function clone(entry: Entry): Entry {
  if ('signers' in entry) {
    const data = Object.fromEntries(Object.entries(entry.data).map(([name, item]) => [name, { ...item }]));
    return { ...entry, thresholds: { ...entry.thresholds }, signers: entry.signers.map((s) => ({ ...s })), data };
  }
  return { ...entry };
}

function keyOf(entry: Entry): string {
  if ('signers' in entry) return accountEntry(entry.id);
  return 'asset' in entry ? trustlineEntry(entry.account, entry.asset) : contractEntry(entry.contract, entry.key);
}

/** The account whose entry or trustline a changed key stands for; undefined for contract data. */
export function accountOfKey(key: string): string | undefined {
  return key.startsWith('c|') ? undefined : key.split('|')[1];
}

interface Footprint {
  readonly read: Set<string>;
  readonly written: Set<string>;
  /** contract data keys that live in temporary storage */
  readonly temporary: Set<string>;
  /** persistent contract data that was found archived */
  readonly archived: Set<string>;
}

const emptyFootprint = (): Footprint => ({
  read: new Set(),
  written: new Set(),
  temporary: new Set(),
  archived: new Set(),
});

const ledgerKeys = new Map<string, string>();
const MAX_REMEMBERED_KEYS = 100_000;

/** Encoding a key costs more than the call that touches it: the same ones come again and again. */
function ledgerKeyXdr(key: string, temporary: boolean): string {
  const name = temporary ? `${key}|temporary` : key;
  const known = ledgerKeys.get(name);
  if (known !== undefined) return known;
  if (ledgerKeys.size >= MAX_REMEMBERED_KEYS) ledgerKeys.clear();
  const encoded = encodeLedgerKey(key, temporary);
  ledgerKeys.set(name, encoded);
  return encoded;
}

function encodeLedgerKey(key: string, temporary: boolean): string {
  const [kind = '', first = '', second = ''] = key.split('|');
  if (kind === 'a') return accountKey(first).toXdr('base64');
  if (kind === 't') return trustlineKey(first, second).toXdr('base64');
  return contractDataKey(first, second, temporary ? 'temporary' : 'persistent').toXdr('base64');
}

interface Layer {
  get(key: string): Entry | undefined;
  /** takes over a child's changes; null is a deletion */
  adopt(changes: ReadonlyMap<string, Entry | null>): void;
}

/** Address of an asset's Stellar Asset Contract, remembered in the state. */
export function registerAsset(state: State, asset: AssetId): string {
  const contract = sdkAsset(asset).contractId(state.networkPassphrase);
  state.assets.set(contract, asset);
  return contract;
}

function stateLayer(state: State): Layer {
  return {
    get: (key) => state.entries.get(key),
    adopt: (changes) => {
      const before = new Map<string, Entry | null>();
      state.before.set(state.sequence, before);
      state.before.delete(state.sequence - KEPT_LEDGERS);
      for (const [key, entry] of changes) {
        before.set(key, state.entries.get(key) ?? null);
        if (entry === null) state.entries.delete(key);
        else state.entries.set(key, entry);
        if (!key.startsWith('t|')) continue;
        const [, account = '', asset = ''] = key.split('|');
        const held = state.trustlines.get(account) ?? new Set();
        if (entry === null) held.delete(asset);
        else held.add(asset);
        state.trustlines.set(account, held);
      }
    },
  };
}

/** The entries as an earlier ledger left them; they cannot be changed. */
function pastLayer(state: State, sequence: number): Layer {
  return {
    get: (key) => {
      for (let ledger = sequence; ledger < state.sequence; ledger += 1) {
        const then = state.before.get(ledger)?.get(key);
        if (then !== undefined) return then ?? undefined;
      }
      return state.entries.get(key);
    },
    adopt: () => {
      throw new Error('the past does not change');
    },
  };
}

/** A throw-away view of the entries as an earlier ledger left them, at most `KEPT_LEDGERS` back. */
export function openPastView(state: State, sequence: number, closeTime: number): CoreView {
  const context = { state, sequence, closeTime, known: new Set<AssetId>(state.assets.values()) };
  return viewOn(context, pastLayer(state, sequence), emptyFootprint());
}

/** Persistent and temporary entries of one contract. */
export function contractEntries(state: State, contract: string): ContractDataEntry[] {
  const entries = [...state.entries.values()].filter((entry) => 'durability' in entry);
  return entries.filter((entry) => entry.contract === contract);
}

/** A view of the state as of `sequence`/`closeTime`; committing it changes the state. */
export function openView(state: State, sequence: number, closeTime: number): CoreView {
  const context = { state, sequence, closeTime, known: new Set<AssetId>(state.assets.values()) };
  return viewOn(context, stateLayer(state), emptyFootprint());
}

interface Context {
  readonly state: State;
  readonly sequence: number;
  readonly closeTime: number;
  readonly known: Set<AssetId>;
}

/** Changes over a parent; what was not changed shows through. */
function layerOn(parent: Layer, changes: Map<string, Entry | null>): Layer {
  return {
    get: (key) => {
      const changed = changes.get(key);
      return changed === undefined ? parent.get(key) : (changed ?? undefined);
    },
    adopt: (inner) => {
      for (const [key, entry] of inner) changes.set(key, entry);
    },
  };
}

function viewOn(context: Context, parent: Layer, footprint: Footprint): CoreView {
  const changes = new Map<string, Entry | null>();
  const layer = layerOn(parent, changes);
  const { state, sequence } = context;
  const read = (key: string): Entry | undefined => {
    footprint.read.add(key);
    const entry = layer.get(key);
    return entry === undefined ? undefined : clone(entry);
  };
  const write = (key: string, entry: Entry | null): void => {
    footprint.written.add(key);
    changes.set(key, entry);
  };
  const put = (entry: Entry): void => {
    const own = clone(entry);
    own.lastModified = sequence;
    write(keyOf(own), own);
  };
  const knowAsset = (asset: AssetId): void => {
    if (context.known.has(asset)) return;
    context.known.add(asset);
    registerAsset(state, asset);
  };
  const durable = (key: string, entry: Entry | undefined): void => {
    if (entry === undefined || !('durability' in entry)) return;
    if (entry.durability === 'temporary') footprint.temporary.add(key);
    else if (entry.liveUntil < sequence) footprint.archived.add(key);
  };
  return {
    sequence,
    closeTime: context.closeTime,
    networkPassphrase: state.networkPassphrase,
    baseReserve: BASE_RESERVE,
    account: (id) => read(accountEntry(id)) as AccountEntry | undefined,
    putAccount: put,
    deleteAccount: (id) => write(accountEntry(id), null),
    trustline: (account, asset) => read(trustlineEntry(account, asset)) as TrustlineEntry | undefined,
    putTrustline: (entry) => {
      knowAsset(entry.asset);
      put(entry);
    },
    deleteTrustline: (account, asset) => write(trustlineEntry(account, asset), null),
    contractData: (contract, key) => {
      const entry = read(contractEntry(contract, key)) as ContractDataEntry | undefined;
      durable(contractEntry(contract, key), entry);
      return entry;
    },
    putContractData: (entry) => {
      durable(keyOf(entry), entry);
      put(entry);
    },
    deleteContractData: (contract, key) => write(contractEntry(contract, key), null),
    assetOfContract: (contract) => state.assets.get(contract),
    registerAsset: (asset) => registerAsset(state, asset),
    touched: () => ({
      read: [...footprint.read].map((key) => ledgerKeyXdr(key, footprint.temporary.has(key))),
      written: [...footprint.written].map((key) => ledgerKeyXdr(key, footprint.temporary.has(key))),
      archived: [...footprint.archived].map((key) => ledgerKeyXdr(key, false)),
    }),
    fork: () => viewOn(context, layer, footprint),
    isolate: () => viewOn(context, layer, emptyFootprint()),
    changed: () => [...changes.keys()],
    commit: () => {
      parent.adopt(changes);
      changes.clear();
    },
  };
}
